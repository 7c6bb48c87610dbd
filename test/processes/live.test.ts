/** Two servers on one database: what holds for the moment is known at both. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { freshDatabase, startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { until } from "../kit/until.ts";

const config = { presence: true, sessionTimeoutMs: 2000 };
let here: TestApp;
let there: TestApp;
let alice: Client;
let bob: Client;
let roomId: string;
beforeAll(async () => {
  const databaseUrl = await freshDatabase();
  [here, there] = [
    await startApp({ mirrors: false, databaseUrl, config }),
    await startApp({ mirrors: false, databaseUrl, config }),
  ];
  alice = await Client.register(here.address, "alice");
  bob = await Client.register(there.address, "bob");
  roomId = await alice.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
});
afterAll(async () => {
  await alice.close();
  await bob.close();
  await here.close();
  await there.close();
});

const at = ({ address }: TestApp, { token, userId, deviceId }: Client) => new Client(address, token, userId, deviceId);
const session = async (client: Client): Promise<string> =>
  (await client.do<{ viewer: { session: { id: string } } }>("{ viewer { session { id } } }")).viewer.session.id;
const stateOf = async (viewer: Client, { userId }: Client): Promise<string> => {
  const data = await viewer.do<{ node: { presence: { state: string } } }>(
    "query ($id: ID!) { node(id: $id) { ... on User { presence { state } } } }",
    { id: userId },
  );
  return data.node.presence.state;
};

test("[SES-1] a device has one session, whichever server it asks, also when it asks both at once", async () => {
  const carol = await Client.register(here.address, "carol");
  const ids = await Promise.all(
    Array.from({ length: 20 }, (_, index) => session(at(index % 2 === 0 ? here : there, carol))),
  );
  expect(new Set(ids).size).toBe(1);
  await at(there, carol).do("mutation { endSession { sessionId } }");
  await until(() => here.app.domain.sessions.of(carol) === null);
  expect(await session(carol)).not.toBe(ids[0]);
});

test("[SES-1] requests at one server keep the session going at the other; both learn of its end", async () => {
  const dave = await Client.register(here.address, "dave");
  const id = await session(dave);
  await until(() => there.app.domain.sessions.of(dave) !== null);
  const until_ = Date.now() + 2.5 * config.sessionTimeoutMs;
  while (Date.now() < until_) {
    expect(await session(dave)).toBe(id);
    await new Promise((resolve) => setTimeout(resolve, config.sessionTimeoutMs / 4));
  }
  expect(await session(at(there, dave))).toBe(id);
  await until(() => [here, there].every(({ app }) => app.domain.sessions.of(dave) === null));
});

test("a session that has ended is told to one server only, and its end to each", async () => {
  const erin = await Client.register(here.address, "erin");
  await session(erin);
  await until(() => there.app.domain.sessions.of(erin) !== null);
  const ended: string[] = [];
  const gone: string[] = [];
  for (const { app } of [here, there]) {
    app.domain.sessions.onEnded(({ userId }) => void (userId === erin.userId && ended.push(userId)));
    app.domain.sessions.onGone(({ userId }) => void (userId === erin.userId && gone.push(userId)));
  }
  await until(() => gone.length === 2);
  expect(ended).toHaveLength(1);
});

test("[PRE-4] presence is that of devices at all servers, and comes down streams of each", async () => {
  const follow = await bob.follow();
  const phone = await Client.login(there.address, "alice", "phone");
  await phone.do("mutation { setPresence(input: { state: IDLE }) { presence { state } } }");
  await until(async () => (await stateOf(at(here, bob), alice)) === "IDLE");
  await alice.do("mutation { setPresence(input: { state: ONLINE }) { presence { state } } }");
  const told = (state: string): boolean =>
    follow.events.some(
      ({ type, senderId, content }) =>
        type === "m.presence" && senderId === alice.userId && content!["state"] === state,
    );
  await follow.until(() => told("ONLINE"));
  expect(await stateOf(bob, alice)).toBe("ONLINE");
  await alice.do('mutation { setStatus(input: { status: "here" }) { presence { status } } }');
  await follow.until(({ events }) => events.some(({ content }) => content?.["status"] === "here"));
  await alice.do("mutation { setAppearOffline(input: { appearOffline: true }) { presence { state } } }");
  await follow.until(() => told("OFFLINE"));
  expect(await stateOf(bob, alice)).toBe("OFFLINE");
  await alice.do("mutation { setAppearOffline(input: { appearOffline: false }) { presence { state } } }");
});

test("[PRE-1] what somebody sets who follows nothing comes down streams at the other server", async () => {
  const follow = await bob.follow();
  // A session that began with a request, and no stream that would tell in which rooms she is.
  await session(alice);
  await until(() => there.app.domain.sessions.of(alice) !== null);
  await follow.until(({ chunks }) => chunks.length > 0);
  // What her session's beginning made known is through.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const told = follow.events.length;
  await alice.do('mutation { setStatus(input: { status: "elsewhere" }) { presence { status } } }');
  await follow.until(({ events }) => events.some(({ content }) => content?.["status"] === "elsewhere"));
  await alice.do('mutation { setStatus(input: { status: "elsewhere" }) { presence { status } } }');
  await alice.do('mutation { setStatus(input: { status: "last" }) { presence { status } } }');
  await follow.until(({ events }) => events.some(({ content }) => content?.["status"] === "last"));
  const news = follow.events.slice(told).filter(({ senderId }) => senderId === alice.userId);
  expect(news.map(({ content }) => content!["status"])).toEqual(["elsewhere", "last"]);
});

test("[TYP-1] typing at one server shows at the other, and ends there with its time and its session", async () => {
  const type = (timeoutMs: number) =>
    alice.do(
      "mutation ($roomId: ID!, $timeoutMs: Int!) { setTyping(input: { roomId: $roomId, typing: true, timeoutMs: $timeoutMs }) { room { id } } }",
      { roomId, timeoutMs },
    );
  const shown = (): string[] => there.app.domain.typing.in(roomId);
  await type(600);
  await until(() => shown().length === 1);
  await until(() => shown().length === 0);
  await type(60_000);
  await until(() => shown().length === 1);
  await alice.do("mutation { endSession { sessionId } }");
  await until(() => shown().length === 0);
});

test("a server that starts later knows the sessions that there are, and what their devices said", async () => {
  await alice.do("mutation { setPresence(input: { state: IDLE }) { presence { state } } }");
  await until(async () => {
    const rows = await here.database.reader.session.findMany({ where: { userId: alice.userId } });
    return rows.some(({ presence }) => presence === "IDLE");
  });
  const later = await startApp({ mirrors: false, databaseUrl: here.databaseUrl, config });
  expect(await stateOf(at(later, bob), alice)).not.toBe("OFFLINE");
  await later.close();
});
