import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { ghostOf, makeGhost, type Ghost } from "../kit/ghosts.ts";
import { startService, takesAll, type ScriptedService } from "../kit/scriptedService.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let alice: Client;
let admin: Client;
let irc: ScriptedService;
let xmpp: ScriptedService;
let ghost: Ghost;
const services = (): { name: string; content: Record<string, unknown> }[] => [irc.registration(), xmpp.registration()];

beforeAll(async () => {
  [irc, xmpp] = await Promise.all([startService(takesAll, "irc"), startService(takesAll, "xmpp")]);
  server = await startApp({ config: { admins: ["root"] }, services: services() });
  [alice, admin] = await Promise.all([server.user("alice"), server.user("root")]);
  ghost = await makeGhost(server, "irc", "irc_bob");
});
afterAll(async () => {
  await server.close();
  await Promise.all([irc.close(), xmpp.close()]);
});

const bodies = (service: ScriptedService, room: string): unknown[] =>
  service
    .events()
    .filter(({ room_id: id, type }) => id === room && type === "m.room.message")
    .map(({ content }) => content["body"]);

/** How a service stands, as the admin sees it. */
async function standing(
  id: string,
): Promise<{ state: string; queueDepth: number; failures: number; lastError: string | null }> {
  const data = await admin.do<{
    appServices: { id: string; state: string; queueDepth: number; failures: number; lastError: string | null }[];
  }>("{ appServices { id state queueDepth failures lastError } }");
  return data.appServices.find((each) => each.id === id)!;
}

test("[AS-5] what happens in a room with a ghost is pushed in stream order, in the older form, and nothing else is", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC", name: "Bridged" });
  const apart = await alice.createRoom({ name: "Apart" });
  await alice.send(apart, "private");
  await ghost.join(room);
  await alice.send(room, "one");
  await alice.setState(room, "m.room.topic", { topic: "New" });
  await ghost.send(room, "two");
  await until(() => bodies(irc, room).length === 2);
  const events = irc.events().filter(({ room_id: id }) => id === room);
  expect(events.map(({ type }) => type)).toEqual(["m.room.member", "m.room.message", "m.room.topic", "m.room.message"]);
  expect(events[0]).toMatchObject({ state_key: ghost.userId, user_id: ghost.userId, content: { membership: "join" } });
  expect(events[1]).toMatchObject({
    sender: alice.userId,
    user_id: alice.userId,
    content: { msgtype: "m.text", body: "one" },
  });
  expect(events[1]).not.toHaveProperty("state_key");
  expect(events[2]).toMatchObject({ state_key: "", content: { topic: "New" } });
  expect(irc.events().some(({ room_id: id }) => id === apart)).toBe(false);
  expect(xmpp.events()).toEqual([]);
  const push = irc.asked.find(({ path }) => path.includes("/transactions/"))!;
  expect(push).toMatchObject({ method: "PUT", path: "/_matrix/app/v1/transactions/1" });
  expect(push.headers.authorization).toBe("Bearer hs-token-of-irc");
  expect(push.query.get("access_token")).toBe("hs-token-of-irc");
});

test("[AS-5] who left is told that they did, and no more; an invite tells of its user at once", async () => {
  const room = await alice.createRoom({ joinRule: "INVITE" });
  await alice.send(room, "before");
  await alice.membership("invite", room, ghost.userId);
  await until(() => irc.events().some(({ room_id: id, content }) => id === room && content["membership"] === "invite"));
  await ghost.join(room);
  await alice.membership("kick", room, ghost.userId);
  await alice.send(room, "after");
  const marker = await alice.createRoom({ joinRule: "PUBLIC" });
  await ghost.join(marker);
  await until(() => irc.events().some(({ room_id: id }) => id === marker));
  const seen = irc.events().filter(({ room_id: id }) => id === room);
  expect(seen.map(({ content }) => content["membership"])).toEqual(["invite", "join", "leave"]);
});

test("[AS-5] a service that fails gets the very same bytes until it takes them, then the rest; another one waits for nothing", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC" });
  await ghost.join(room);
  const other = await makeGhost(server, "xmpp", "xmpp_eve");
  await other.join(room);
  await until(() => irc.events().at(-1)?.state_key === other.userId);
  let failing = true;
  irc.script = (asked, res) => (failing ? [500, { errcode: "M_UNKNOWN" }] : takesAll(asked, res));
  const before = irc.asked.length;
  await alice.send(room, "m0");
  await until(async () => (await standing("irc")).state === "DOWN");
  for (let n = 1; n < 250; n++) await alice.send(room, `m${n}`);
  await until(() => bodies(xmpp, room).length === 250);
  const { queueDepth, failures, lastError } = await standing("irc");
  expect({ queueDepth, lastError }).toEqual({ queueDepth: 250, lastError: "it answered with status 500" });
  expect(failures).toBeGreaterThan(0);
  failing = false;
  await admin.do('mutation { wakeAppService(input: { id: "irc" }) { appService { id } } }');
  await until(() => bodies(irc, room).length === 250);
  expect(bodies(irc, room)).toEqual(Array.from({ length: 250 }, (_each, n) => `m${n}`));
  const tries = irc.asked.slice(before).filter(({ body }) => body.includes('"m0"'));
  expect(tries.length).toBeGreaterThan(1);
  expect(new Set(tries.map(({ path, body }) => `${path} ${body}`)).size).toBe(1);
  const sizes = [...irc.taken.values()].slice(-4).map((events) => events.length);
  expect(Math.max(...sizes)).toBe(100);
  await until(async () => (await standing("irc")).state === "UP");
  expect(await standing("irc")).toMatchObject({ queueDepth: 0, failures: 0 });
});

test("[AS-5] what waits while the server is down is sent by the next one, in order, once", async () => {
  const room = await alice.createRoom({ joinRule: "PUBLIC" });
  await ghost.join(room);
  await until(() => irc.events().at(-1)?.room_id === room);
  irc.script = () => [503, {}];
  await alice.send(room, "first");
  await until(async () => (await standing("irc")).state === "DOWN");
  await alice.send(room, "second");
  const saved = await sql<{ body: string }>(
    server.databaseUrl,
    "SELECT transaction_id, body FROM app_service_transaction WHERE app_service_id = 'irc'",
  );
  expect(saved).toHaveLength(1);
  // Another process on the same store; it takes the lease as soon as the first one gives it up.
  const second = await startApp({ databaseUrl: server.databaseUrl, mirrors: false, services: services() });
  try {
    irc.script = takesAll;
    await server.app.domain.services.delivery.close();
    const requester = await ghostOf(second, "irc", "irc_bob");
    await requester.send(room, "third");
    await until(() => bodies(irc, room).length === 3);
    expect(bodies(irc, room)).toEqual(["first", "second", "third"]);
    const bytes = irc.asked.filter(({ body }) => body.includes('"first"')).map(({ body }) => body);
    expect(new Set([...bytes, saved[0]!.body]).size).toBe(1);
  } finally {
    await second.close();
  }
});

test("[AS-5] a service that asks is told of typing, receipts and presence in its rooms; others aren't", async () => {
  const [asking, deaf] = await Promise.all([startService(takesAll, "asks"), startService(takesAll, "deaf")]);
  const both = [asking.registration({ "de.sorunome.msc2409.push_ephemeral": true }), deaf.registration()];
  const own = await startApp({ services: both, config: { presence: true } });
  try {
    const carl = await own.user("carl");
    const room = await carl.createRoom({ joinRule: "PUBLIC" });
    const apart = await carl.createRoom({});
    await (await makeGhost(own, "asks", "asks_a")).join(room);
    await (await makeGhost(own, "deaf", "deaf_a")).join(room);
    const message = await carl.send(room, "read me");
    await carl.do("mutation { setPresence(input: { state: IDLE }) { __typename } }");
    const setTyping = "mutation ($r: ID!) { setTyping(input: { roomId: $r, typing: true }) { __typename } }";
    for (const each of [apart, room]) await carl.do(setTyping, { r: each });
    await carl.do("mutation ($e: ID!) { setMarker(input: { eventId: $e, kind: READ }) { __typename } }", {
      ...{ e: message },
    });
    const pushed = (service: ScriptedService): { type: string; room_id?: string; sender?: string; content: object }[] =>
      service.asked.flatMap(({ path, body }) =>
        path.includes("/transactions/") ? ((JSON.parse(body) as { ephemeral?: [] }).ephemeral ?? []) : [],
      );
    const types = (): string[] => [...new Set(pushed(asking).map(({ type }) => type))].sort();
    await until(
      () => types().length === 3,
      () => JSON.stringify(pushed(asking)),
    );
    expect(types()).toEqual(["m.presence", "m.receipt", "m.typing"]);
    expect(pushed(asking).find(({ type }) => type === "m.typing")).toEqual({
      ...{ type: "m.typing", room_id: room, content: { user_ids: [carl.userId] } },
    });
    expect(pushed(asking).find(({ type }) => type === "m.receipt")).toMatchObject({
      ...{
        room_id: room,
        content: { [message]: { "m.read": { [carl.userId]: { ts: expect.any(Number) as number } } } },
      },
    });
    await until(() => JSON.stringify(pushed(asking)).includes('"presence":"unavailable"'));
    expect(pushed(asking).findLast(({ type }) => type === "m.presence")).toMatchObject({
      ...{ sender: carl.userId, content: { user_id: carl.userId, presence: "unavailable", currently_active: false } },
    });
    expect(pushed(asking).some(({ room_id: id }) => id === apart)).toBe(false);
    expect(pushed(deaf)).toEqual([]);
  } finally {
    await own.close();
    await Promise.all([asking.close(), deaf.close()]);
  }
});

test("[AS-5] admins pause, resume and skip; nobody else does", async () => {
  const act = (name: string, id = "irc"): string =>
    `mutation { ${name}(input: { id: "${id}" }) { appService { id state paused queueDepth } } }`;
  for (const name of ["wakeAppService", "pauseAppService", "resumeAppService", "skipAppServiceTransaction"]) {
    expect(await alice.code(act(name))).toBe("FORBIDDEN");
    expect(await admin.code(act(name, "nobody"))).toBe("NOT_FOUND");
  }
  expect(await alice.code("{ appServices { id } }")).toBe("FORBIDDEN");
  const fresh = await startService(takesAll, "own");
  const own = await startApp({ services: [fresh.registration()], config: { admins: ["root"] } });
  try {
    const [carl, root] = await Promise.all([own.user("carl"), own.user("root")]);
    const room = await carl.createRoom({ joinRule: "PUBLIC" });
    await (await makeGhost(own, "own", "own_a")).join(room);
    await until(() => fresh.events().length === 1);
    await root.do(act("pauseAppService", "own"));
    const before = fresh.asked.length;
    for (const body of ["a", "b"]) await carl.send(room, body);
    const paused = await root.do<{
      appServices: { paused: boolean; queueDepth: number; oldestQueuedAt: string | null }[];
    }>("{ appServices { paused queueDepth oldestQueuedAt sender { id } userNamespaces { regex exclusive } } }");
    expect(paused.appServices).toMatchObject([{ paused: true, queueDepth: 2 }]);
    expect(Date.now() - Date.parse(paused.appServices[0]!.oldestQueuedAt!)).toBeLessThan(60_000);
    expect(fresh.asked).toHaveLength(before);
    const measured = await (await fetch(`${own.address}/metrics`)).text();
    expect(measured).toContain('hearth_appservice_queue_events{service="own"} 2');
    expect(measured).toContain('hearth_appservice_paused{service="own"} 1');
    expect(measured).toContain('hearth_appservice_state{service="own",state="UP"} 1');
    expect(Number(/queue_age_seconds{service="own"} (\S+)/.exec(measured)?.[1])).toBeLessThan(60);
    // The first is poison; what comes behind it isn't.
    fresh.script = (asked, res) => (asked.body.includes('"a"') ? [500, {}] : takesAll(asked, res));
    await root.do(act("resumeAppService", "own"));
    const stuck = "{ appServices { state queueDepth } }";
    await until(async () => JSON.stringify(await root.do(stuck)).includes("DOWN"));
    await carl.send(room, "c");
    const skipped = await root.do<{ skipAppServiceTransaction: { skippedEvents: number } }>(
      'mutation { skipAppServiceTransaction(input: { id: "own" }) { skippedEvents } }',
    );
    expect(skipped.skipAppServiceTransaction.skippedEvents).toBe(2);
    await until(() => fresh.events().at(-1)?.content["body"] === "c");
  } finally {
    await own.close();
    await fresh.close();
  }
});
