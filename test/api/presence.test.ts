import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import type { Follow } from "../kit/follow.ts";
import { Follow as Following } from "../kit/follow.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
const clients: Client[] = [];
beforeAll(async () => {
  server = await startApp({ mirrors: false, config: { presence: true } });
});
afterAll(async () => {
  for (const client of clients) await client.close();
  await server.close();
});

let number = 0;
/** People of a room of their own, the first of whom made it. */
async function people(...names: string[]): Promise<{ roomId: string; clients: Client[] }> {
  const own = ++number;
  const found: Client[] = [];
  for (const name of names) found.push(await server.user(`${name}${own}`));
  clients.push(...found);
  const roomId = await found[0]!.createRoom({ joinRule: "PUBLIC" });
  for (const client of found.slice(1)) await client.join(roomId);
  return { roomId, clients: found };
}

interface Shown {
  state: string;
  status: string | null;
  lastActiveAt: string | null;
  capabilityHashes: string[];
}

async function presenceOf(viewer: Client, { userId }: Client): Promise<Shown | null> {
  const data = await viewer.do<{ node: { presence: Shown | null } }>(
    "query ($id: ID!) { node(id: $id) { ... on User { presence { state status lastActiveAt capabilityHashes } } } }",
    { id: userId },
  );
  return data.node.presence;
}

const setPresence = (client: Client, state: string) =>
  client.do("mutation ($state: PresenceState!) { setPresence(input: { state: $state }) { presence { state } } }", {
    state,
  });
const setStatus = (client: Client, status: string | null) =>
  client.do("mutation ($status: String) { setStatus(input: { status: $status }) { presence { status } } }", { status });
const appearOffline = (client: Client, hidden: boolean) =>
  client.do<{ setAppearOffline: { viewer: { appearOffline: boolean }; presence: { state: string } } }>(
    "mutation ($hidden: Boolean!) { setAppearOffline(input: { appearOffline: $hidden }) { viewer { appearOffline } presence { state } } }",
    { hidden },
  );

/** What a stream told of somebody's presence, in order. */
const told = (follow: Follow, { userId }: Client): unknown[] =>
  follow.events
    .filter(({ type, senderId }) => type === "m.presence" && senderId === userId)
    .map(({ content }) => content);

test("[PRE-1] [PRE-3] [PRE-4] [EVS-12] what a device says reaches those who share a room, and nobody else", async () => {
  const [{ clients: pair }, { clients: others }] = [await people("alice", "bob"), await people("eve")];
  const [alice, bob] = pair as [Client, Client];
  const [eve] = others as [Client];
  const [follow, elsewhere] = [await bob.follow(), await eve.follow()];
  await setPresence(alice, "ONLINE");
  await setStatus(alice, "at work");
  await follow.until(
    () => told(follow, alice).length > 0 && (told(follow, alice).at(-1) as Shown).status === "at work",
  );
  expect(told(follow, alice).at(-1)).toEqual({ state: "ONLINE", status: "at work", capability_hashes: [] });
  const event = follow.events.find(({ type, senderId }) => type === "m.presence" && senderId === alice.userId)!;
  expect(event).toMatchObject({ kind: "EPHEMERAL", roomId: null });
  expect(await presenceOf(bob, alice)).toEqual({
    ...{ state: "ONLINE", status: "at work", capabilityHashes: [] },
    lastActiveAt: expect.any(String) as string,
  });
  await setPresence(alice, "IDLE");
  await follow.until(() => (told(follow, alice).at(-1) as Shown).state === "IDLE");
  expect(await presenceOf(eve, alice)).toBeNull();
  expect(told(elsewhere, alice)).toEqual([]);
});

test("[PRE-3] an event stream makes its device online, or what it asks for, and leaves alone what the device has said", async () => {
  const { clients } = await people("carl", "dave");
  const [carl, dave] = clients as [Client, Client];
  await carl.follow();
  expect(await presenceOf(dave, carl)).toMatchObject({ state: "ONLINE" });
  await setPresence(carl, "IDLE");
  await carl.follow();
  expect(await presenceOf(dave, carl)).toMatchObject({ state: "IDLE" });
  const laptop = await Client.login(server.address, carl.userId.slice(1).split(":")[0]!, "laptop");
  clients.push(laptop);
  const query = "subscription { eventStream(presence: ONLINE) { stream } }";
  const opened: unknown[] = [];
  const stop = laptop.socket.subscribe(
    { query },
    { next: (value) => void opened.push(value), error: () => undefined, complete: () => undefined },
  );
  await until(() => opened.length > 0);
  expect(await presenceOf(dave, carl)).toMatchObject({ state: "ONLINE" });
  await setPresence(laptop, "OFFLINE");
  expect(await presenceOf(dave, carl)).toMatchObject({ state: "IDLE" });
  stop();
});

test("[PRE-2] who appears offline is nobody's news: not when they connect, nor when they go", async () => {
  const { clients } = await people("fay", "gus");
  const [fay, gus] = clients as [Client, Client];
  await setStatus(fay, "here, but don't tell");
  await setPresence(fay, "ONLINE");
  const hidden = await appearOffline(fay, true);
  expect(hidden.setAppearOffline).toEqual({ viewer: { appearOffline: true }, presence: { state: "ONLINE" } });
  await fay.do("mutation { endSession { sessionId } }");
  await until(() => server.app.domain.sessions.ofUser(fay.userId).length === 0);
  const follow = await gus.follow();
  // What was on its way is through when something later has come.
  const flush = async (): Promise<void> => {
    await setStatus(gus, `status ${Math.random()}`);
    const count = told(follow, gus).length;
    await follow.until(() => told(follow, gus).length > count);
  };
  await flush();
  const before = told(follow, fay).length;
  const own = await fay.follow();
  await own.until(() => told(own, fay).some((content) => (content as Shown).state === "ONLINE"));
  await fay.do("mutation { endSession { sessionId } }");
  await flush();
  await flush();
  expect(told(follow, fay)).toHaveLength(before);
  expect(await presenceOf(gus, fay)).toEqual({
    ...{ state: "OFFLINE", status: "here, but don't tell" },
    ...{ lastActiveAt: null, capabilityHashes: [] },
  });
  await appearOffline(fay, false);
  await setPresence(fay, "ONLINE");
  await follow.until(() => (told(follow, fay).at(-1) as Shown | undefined)?.state === "ONLINE");
});

test("[PRE-4] [STR-1] a stream tells of the users that token and filter take in", async () => {
  const { clients } = await people("hal", "ida", "jon");
  const [hal, ida, jon] = clients as [Client, Client, Client];
  const { streamToken } = await hal.do<{ streamToken: string }>(
    'query ($users: [String!]!) { streamToken(rooms: ["*"], users: $users) }',
    { users: [ida.userId] },
  );
  const chosen = new Following(hal.socket, streamToken);
  const none = new Following(hal.socket, null, { tweak: { types: ["-ephemeral:m.presence"] } });
  const filtered = new Following(hal.socket, null, { tweak: { users: [jon.userId] } });
  for (const each of [chosen, none, filtered]) await each.until(({ chunks }) => chunks.length > 0);
  await setPresence(jon, "ONLINE");
  await setPresence(ida, "ONLINE");
  await chosen.until(() => told(chosen, ida).length > 0);
  await filtered.until(() => told(filtered, jon).length > 0);
  expect(told(chosen, jon)).toEqual([]);
  expect(told(filtered, ida)).toEqual([]);
  expect(none.events.filter(({ type }) => type === "m.presence")).toEqual([]);
});

test("[SYN-4] an initial sync tells who of the token's users isn't offline, in a difference, too", async () => {
  const { clients } = await people("kim", "leo", "max");
  const [kim, leo, max] = clients as [Client, Client, Client];
  await setPresence(leo, "ONLINE");
  await setPresence(max, "IDLE");
  const sync =
    "query ($stream: StreamToken) { initialSync(stream: $stream) { stream presence { user { id } state } } }";
  interface Synced {
    initialSync: { stream: string; presence: { user: { id: string }; state: string }[] };
  }
  const first = await kim.do<Synced>(sync);
  expect(first.initialSync.presence).toEqual([
    { user: { id: leo.userId }, state: "ONLINE" },
    { user: { id: max.userId }, state: "IDLE" },
  ]);
  await leo.do("mutation { endSession { sessionId } }");
  const second = await kim.do<Synced>(sync, { stream: first.initialSync.stream });
  expect(second.initialSync.presence).toEqual([{ user: { id: max.userId }, state: "IDLE" }]);
  const { streamToken } = await kim.do<{ streamToken: string }>('query { streamToken(rooms: ["*"], users: []) }');
  expect((await kim.do<Synced>(sync, { stream: streamToken })).initialSync.presence).toEqual([]);
});

test("many changes are few events, the last of which tells what holds", async () => {
  const { clients } = await people("nan", "oli");
  const [nan, oli] = clients as [Client, Client];
  await setPresence(nan, "ONLINE");
  const follow = await oli.follow();
  await setStatus(oli, "marker");
  await follow.until(() => told(follow, oli).some((content) => (content as Shown).status === "marker"));
  const before = told(follow, nan).length;
  for (let change = 0; change < 20; change++) await setPresence(nan, change % 2 === 0 ? "IDLE" : "ONLINE");
  await setStatus(nan, "done");
  await follow.until(() => told(follow, nan).some((content) => (content as Shown).status === "done"));
  expect(told(follow, nan).length - before).toBeLessThan(5);
});

test("[PRE-4] the subscription begins with those who aren't offline, and follows those whom the viewer shares a room with", async () => {
  const { roomId, clients } = await people("pam", "quin", "rob");
  const [pam, quin, rob] = clients as [Client, Client, Client];
  await setPresence(quin, "ONLINE");
  const seen: { user: { id: string }; state: string }[] = [];
  const stop = pam.socket.subscribe<{ presence: (typeof seen)[number] }>(
    { query: "subscription { presence { user { id } state } }" },
    { next: ({ data }) => void (data && seen.push(data.presence)), error: () => undefined, complete: () => undefined },
  );
  const shows = (client: Client, state: string): boolean =>
    seen.some(({ user, state: each }) => user.id === client.userId && each === state);
  await until(() => shows(quin, "ONLINE"));
  await setPresence(rob, "IDLE");
  await until(() => shows(rob, "IDLE"));
  await rob.do("mutation ($roomId: ID!) { leaveRoom(input: { roomId: $roomId }) { event { id } } }", { roomId });
  await setPresence(rob, "ONLINE");
  await setPresence(quin, "IDLE");
  await until(() => shows(quin, "IDLE"));
  expect(shows(rob, "ONLINE")).toBe(false);
  stop();
});

test.each([
  ["status", 'mutation { setStatus(input: { status: "bad\\u0000" }) { presence { status } } }'],
  ["status", `mutation { setStatus(input: { status: "${"x".repeat(256)}" }) { presence { status } } }`],
])("bad input names %s and stores nothing", async (field, mutation) => {
  const { clients } = await people("sue");
  const answer = await clients[0]!.ask(mutation);
  expect(answer.errors![0]!.extensions).toEqual({ code: "BAD_INPUT", field });
  expect(await presenceOf(clients[0]!, clients[0]!)).toMatchObject({ status: null });
});
