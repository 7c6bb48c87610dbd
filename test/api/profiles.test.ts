import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let alice: Client;
let bob: Client;
beforeAll(async () => {
  server = await startApp();
  [alice, bob] = [await server.user("alice"), await server.user("bob")];
});
afterAll(async () => {
  for (const client of [alice, bob]) await client.close();
  expect(server.errors).toEqual([]);
  await server.close();
});

const set = `mutation ($input: SetProfileInput!) { setProfile(input: $input) {
  user { id displayName avatarMxc profileValues } member { displayName avatarMxc } event { id content } actionId } }`;
const named = "query ($room: ID!, $user: ID!) { room(id: $room) { member(userId: $user) { displayName avatarMxc } } }";

/** What the room shows of a user. */
async function shown(client: Client, room: string, user: string): Promise<{ displayName: string; avatarMxc: string }> {
  type Answer = { room: { member: { displayName: string; avatarMxc: string } } };
  return (await client.do<Answer>(named, { room, user })).room.member;
}

/** Contents of the profile events of a user in a room, the oldest first. */
async function told(roomId: string, userId: string): Promise<Record<string, unknown>[]> {
  const rows = await sql<{ content: string }>(
    server.databaseUrl,
    `SELECT content FROM event WHERE room_id = $1 AND type = 'm.room.member.profile' AND state_key = $2 ORDER BY position`,
    [roomId, userId],
  );
  return rows.map(({ content }) => JSON.parse(content) as Record<string, unknown>);
}

const sharedRoom = async (owner: Client): Promise<string> => {
  const roomId = await owner.createRoom({ joinRule: "PUBLIC" });
  await (owner === alice ? bob : alice).join(roomId);
  return roomId;
};

test("[PRO-1] a profile holds values by key, and a null removes one", async () => {
  const carol = await server.user("carol");
  await carol.setProfile("displayname", "Carol");
  await carol.setProfile("avatar_url", "mxc://localhost/carol");
  await carol.setProfile("org.example.pronouns", ["she", { deep: true }]);
  await carol.setProfile("__proto__", "kept");
  const document = `query ($id: ID!) { user(id: $id) { displayName avatarMxc all: profileValues
    some: profileValues(keys: ["org.example.pronouns", "none"]) } }`;
  const { user } = await bob.do<{ user: Record<string, unknown> }>(document, { id: carol.userId });
  expect(user).toMatchObject({ displayName: "Carol", avatarMxc: "mxc://localhost/carol" });
  expect(Object.entries(user["all"] as object).sort()).toEqual([
    ["__proto__", "kept"],
    ["avatar_url", "mxc://localhost/carol"],
    ["displayname", "Carol"],
    ["org.example.pronouns", ["she", { deep: true }]],
  ]);
  expect(user["some"]).toEqual({ "org.example.pronouns": ["she", { deep: true }] });
  await carol.setProfile("avatar_url", null);
  const after = await carol.do<{ setProfile: unknown }>(set, { input: { key: "never.set" } });
  expect(after.setProfile).toMatchObject({
    user: { displayName: "Carol", avatarMxc: null },
    member: null,
    event: null,
    actionId: null,
  });
  await carol.close();
});

test("[PRO-3] [EVS-10] a change reaches every room as an event of the user's, also by their other devices' streams", async () => {
  const dave = await server.user("dave");
  const rooms = [await alice.createRoom({ joinRule: "PUBLIC" }), await dave.createRoom(), await dave.createRoom()];
  await dave.join(rooms[0]!);
  const follow = await dave.follow();
  await dave.setProfile("displayname", "Dave");
  const news = () => follow.events.filter(({ type }) => type === "m.room.member.profile");
  await follow.until(() => news().length === 3);
  expect(
    news()
      .map(({ roomId }) => roomId)
      .sort(),
  ).toEqual([...rooms].sort());
  for (const roomId of rooms) expect(await told(roomId, dave.userId)).toEqual([{ displayname: "Dave" }]);
  expect(await shown(alice, rooms[0]!, dave.userId)).toMatchObject({ displayName: "Dave" });
  // What is so already makes no event.
  await dave.setProfile("displayname", "Dave");
  await dave.setProfile("displayname", "David");
  await follow.until(() => news().length === 6);
  expect(await told(rooms[0]!, dave.userId)).toEqual([{ displayname: "Dave" }, { displayname: "David" }]);
  follow.stop();
  await dave.close();
});

test("[PRO-2] a room's own profile goes before the global one there, key by key, until it is removed", async () => {
  const erin = await server.user("erin");
  const [here, there] = [await erin.createRoom(), await erin.createRoom()];
  await erin.setProfile("displayname", "Erin");
  await erin.setProfile("displayname", "Boss", here);
  await until(async () => (await shown(erin, there, erin.userId)).displayName === "Erin");
  await erin.setProfile("avatar_url", "mxc://localhost/erin");
  await until(async () => (await shown(erin, here, erin.userId)).avatarMxc === "mxc://localhost/erin");
  expect(await shown(erin, here, erin.userId)).toMatchObject({ displayName: "Boss" });
  await erin.setProfile("displayname", "Erin the second");
  await until(async () => (await shown(erin, there, erin.userId)).displayName === "Erin the second");
  expect(await shown(erin, here, erin.userId)).toMatchObject({ displayName: "Boss" });
  const removed = await erin.do<{ setProfile: unknown }>(set, {
    input: { key: "displayname", value: null, roomId: here, actionId: "back" },
  });
  expect(removed.setProfile).toMatchObject({
    member: { displayName: "Erin the second", avatarMxc: "mxc://localhost/erin" },
    event: { content: { displayname: "Erin the second", avatar_url: "mxc://localhost/erin" } },
    actionId: "back",
  });
  await erin.close();
});

test("[PRO-4] whoever enters a room shows their profile just before, and membership events tell what it was", async () => {
  const frank = await server.user("frank");
  await frank.setProfile("displayname", "Frank");
  const roomId = await sharedRoom(alice);
  const own = await frank.createRoom();
  const follow = await alice.follow();
  await frank.join(roomId);
  await follow.until(({ events }) => events.some(({ type }) => type === "m.room.member"));
  const [profile, join] = follow.events.filter((event) => event.roomId === roomId).slice(-2);
  expect([profile, join]).toMatchObject([
    { type: "m.room.member.profile", content: { displayname: "Frank" } },
    { type: "m.room.member", content: { membership: "join" } },
  ]);
  follow.stop();
  await frank.leave(roomId);
  await frank.setProfile("displayname", "Francis");
  await until(async () => (await shown(frank, own, frank.userId)).displayName === "Francis");
  // Somebody who isn't in the room tells it nothing.
  expect(await told(roomId, frank.userId)).toEqual([{ displayname: "Frank" }]);
  await frank.join(roomId);
  const timeline = `query ($id: ID!) { room(id: $id) { timeline(last: 20) { nodes {
    ... on StateEvent { type stateKey profile { displayName event { content } } content } } } } }`;
  type Node = { type: string; stateKey: string; profile: { displayName: string } | null; content: object };
  const { room } = await alice.do<{ room: { timeline: { nodes: Node[] } } }>(timeline, { id: roomId });
  const memberships = room.timeline.nodes.filter(
    ({ type, stateKey }) => type === "m.room.member" && stateKey === frank.userId,
  );
  expect(memberships.map(({ content, profile }) => ({ ...content, name: profile?.displayName }))).toEqual([
    { membership: "join", name: "Frank" },
    { membership: "leave", name: "Frank" },
    { membership: "join", name: "Francis" },
  ]);
  // The creator of a room has a name in it from the beginning.
  const { room: made } = await frank.do<{ room: { timeline: { nodes: Node[] } } }>(timeline, { id: own });
  expect(made.timeline.nodes.slice(0, 3)).toMatchObject([
    { type: "m.room.create" },
    { type: "m.room.member.profile", content: { displayname: "Frank" } },
    { type: "m.room.member", profile: { displayName: "Frank" } },
  ]);
  await frank.close();
});

test("[PRO-4] who has only been invited is shown by their global profile", async () => {
  const gina = await server.user("gina");
  await gina.setProfile("displayname", "Gina");
  const roomId = await alice.createRoom({ invite: [gina.userId] });
  expect(await shown(alice, roomId, gina.userId)).toMatchObject({ displayName: "Gina" });
  await gina.close();
});

test("[PRO-3] profiles are shown where only operators may speak, and not where the room keeps them out", async () => {
  const roomId = await alice.createRoom({ joinRule: "PUBLIC" });
  const powers = "mutation ($input: PatchPowerLevelsInput!) { patchPowerLevels(input: $input) { event { id } } }";
  await alice.do(powers, { input: { roomId, path: ["events_default"], value: 50 } });
  const locked = await alice.createRoom({ joinRule: "PUBLIC" });
  await alice.do(powers, { input: { roomId: locked, path: ["events", "m.room.member.profile"], value: 50 } });
  const hugo = await server.user("hugo");
  await hugo.setProfile("displayname", "Hugo");
  await hugo.join(roomId);
  await hugo.join(locked);
  expect([await told(roomId, hugo.userId), await told(locked, hugo.userId)]).toEqual([[{ displayname: "Hugo" }], []]);
  const input = { key: "displayname", value: "H", roomId: locked };
  expect(await hugo.code(set, { input })).toBe("FORBIDDEN");
  await hugo.setProfile("displayname", "Hugh");
  await until(async () => (await told(roomId, hugo.userId)).length === 2);
  expect(await told(locked, hugo.userId)).toEqual([]);
  await hugo.close();
});

test.each([
  ["an empty key", { key: "", value: "x" }, "key"],
  ["a key that is too long", { key: "k".repeat(256), value: "x" }, "key"],
  ["a key with a NUL character", { key: "a\0b", value: "x" }, "key"],
  ["the key that lists the room's own", { key: "hearth.room_keys", value: ["x"] }, "key"],
  ["a display name that is no text", { key: "displayname", value: { first: "A" } }, "value"],
  ["a display name that is too long", { key: "displayname", value: "n".repeat(1025) }, "value"],
  ["an avatar that is no media", { key: "avatar_url", value: "https://example.org/a.png" }, "value"],
  ["a fraction", { key: "org.example", value: { size: 1.5 } }, "value.size"],
  ["a room that is none", { key: "displayname", value: "x", roomId: "here" }, "roomId"],
])("[PRO-1] refuses %s, and stores nothing", async (_name, input, field) => {
  const before = await alice.do("{ viewer { user { profileValues } } }");
  const { errors } = await alice.ask(set, { input });
  expect(errors?.[0]).toMatchObject({ extensions: { code: "BAD_INPUT", field } });
  expect(await alice.do("{ viewer { user { profileValues } } }")).toEqual(before);
});

test("[PRO-1] [EV-8] a profile grows no larger than one event holds, by however many at once", async () => {
  const ivan = await server.user("ivan");
  const roomId = await ivan.createRoom();
  const half = (n: number) => ({ input: { key: `part${n}`, value: "x".repeat(10_000) } });
  const codes = await Promise.all([1, 2, 3, 4].map((n) => ivan.code(set, half(n))));
  expect(codes.sort()).toEqual(["TOO_LARGE", "TOO_LARGE", null, null]);
  const inRoom = (n: number) => ({ input: { ...half(n + 4).input, roomId } });
  expect(await ivan.code(set, inRoom(1))).toBe(null);
  expect(await ivan.code(set, inRoom(2))).toBe(null);
  expect(await ivan.code(set, inRoom(3))).toBe("TOO_LARGE");
  await until(async () => "part5" in ((await told(roomId, ivan.userId)).at(-1) ?? {}));
  await ivan.close();
});

test("[PRO-2] [EV-8] what a room keeps as its own leaves place for any global profile, also where it is all keys", async () => {
  const judy = await server.user("judy");
  const roomId = await alice.createRoom({ joinRule: "PUBLIC" });
  await judy.join(roomId);
  const codes: (string | null)[] = [];
  for (let n = 0; n < 96; n++) {
    const key = String(n).padStart(250, "k");
    codes.push(await judy.code(set, { input: { key, value: 1, roomId } }));
  }
  expect(new Set(codes)).toEqual(new Set([null, "TOO_LARGE"]));
  for (const n of [1, 2]) await judy.setProfile(`part${n}`, "x".repeat(11_500));
  await until(async () => "part2" in ((await told(roomId, judy.userId)).at(-1) ?? {}));
  await judy.leave(roomId);
  await judy.setProfile("part3", "x");
  await judy.join(roomId);
  await judy.close();
});

test("[PRO-2] removing what isn't there from a room's profile makes no event", async () => {
  const karl = await server.user("karl");
  const roomId = await karl.createRoom();
  const input = { key: "displayname", value: null, roomId, actionId: "nothing" };
  for (const _again of [1, 2]) expect(await karl.do(set, { input })).toMatchObject({ setProfile: { event: null } });
  expect(await told(roomId, karl.userId)).toEqual([]);
  await karl.close();
});

test("[PRO-2] [EV-9] a room's profile is set by who is in it; state of that type by nobody else's action", async () => {
  const roomId = await alice.createRoom();
  expect(await bob.code(set, { input: { key: "displayname", value: "B", roomId } })).toBe("NOT_FOUND");
  const open = await alice.createRoom({ joinRule: "PUBLIC", historyVisibility: "WORLD_READABLE" });
  expect(await bob.code(set, { input: { key: "displayname", value: "B", roomId: open } })).toBe("FORBIDDEN");
  const input = { type: "m.room.member.profile", stateKey: alice.userId, content: { displayname: "Fake" } };
  const setState = "mutation ($input: SetStateInput!) { setState(input: $input) { event { id } } }";
  expect(await alice.code(setState, { input: { ...input, roomId } })).toBe("BAD_INPUT");
});

test("[PRO-3] [ACT-14] a redacted name stays away, and comes back with nothing but a new one", async () => {
  const jane = await server.user("jane");
  const roomId = await alice.createRoom({ joinRule: "PUBLIC" });
  await jane.join(roomId);
  const insult = await jane.setProfile("displayname", "Insult", roomId);
  await alice.redact(insult);
  expect(await shown(alice, roomId, jane.userId)).toMatchObject({ displayName: null });
  await jane.setProfile("displayname", "Jane");
  await until(async () => (await shown(alice, roomId, jane.userId)).displayName === "Jane");
  expect((await told(roomId, jane.userId)).at(-1)).toEqual({ displayname: "Jane" });
  await jane.close();
});

test("[ACT-2] [PRO-1] the same action id changes a global profile once, and serves no other change", async () => {
  const input = { key: "displayname", value: "Once", actionId: "profile" };
  await bob.do(set, { input });
  await bob.setProfile("displayname", "Later");
  expect(await bob.do(set, { input })).toMatchObject({ setProfile: { user: { displayName: "Later" } } });
  expect(await bob.code(set, { input: { ...input, value: "Twice" } })).toBe("CONFLICT");
});

test("[ACT-2] [PRO-1] an action id that something else is using at this moment is told as used", async () => {
  const client = new pg.Client({ connectionString: server.databaseUrl });
  await client.connect();
  await client.query("BEGIN");
  await client.query(
    "INSERT INTO action (user_id, device_id, action_id, request_hash, event_ids) VALUES ($1, $2, 'both', 'other', '{}')",
    [bob.userId, bob.deviceId],
  );
  const input = { key: "displayname", value: "Both", actionId: "both" };
  const code = bob.code(set, { input });
  const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO%action%'
    AND datname = current_database()`;
  await until(async () => (await sql(server.databaseUrl, waiting)).length > 0);
  await client.query("COMMIT");
  await client.end();
  expect(await code).toBe("CONFLICT");
});

test("[PRO-1] somebody with many changes at once keeps nobody else waiting, and is told when they are too many", async () => {
  const leo = await server.user("leo");
  const client = new pg.Client({ connectionString: server.databaseUrl });
  await client.connect();
  await client.query("BEGIN");
  await client.query("SELECT FROM account WHERE user_id = $1 FOR UPDATE", [leo.userId]);
  const change = (n: number): Promise<string | null> =>
    leo.code(set, { input: { key: "displayname", value: `L${n}` } });
  const codes = Promise.all(Array.from({ length: 150 }, (_, n) => change(n)));
  await bob.setProfile("displayname", "Unhindered");
  expect(await bob.code(set, { input: { key: "displayname", value: "Bob" } })).toBeNull();
  await client.query("COMMIT");
  await client.end();
  expect(new Set(await codes)).toEqual(new Set([null, "OVERLOADED"]));
  await leo.close();
});

test("[EVS-8] [ACT-15] events in rooms carry the action id of the change, and are kept off its device when it asks so", async () => {
  const kate = await server.user("kate");
  const roomId = await kate.createRoom({ joinRule: "PUBLIC" });
  await alice.join(roomId);
  const [own, others] = [await kate.follow(), await alice.follow()];
  await kate.do(set, { input: { key: "displayname", value: "Kate", actionId: "loud" } });
  await own.until(({ events }) => events.some(({ actionId }) => actionId === "loud"));
  await others.until(({ events }) => events.some(({ content }) => content?.["displayname"] === "Kate"));
  await kate.do(set, { input: { key: "displayname", value: "Katie", actionId: "quiet", suppressOnStream: true } });
  await others.until(({ events }) => events.some(({ content }) => content?.["displayname"] === "Katie"));
  const last = await kate.send(roomId, "after that");
  await own.sees(last);
  expect(JSON.stringify(own.events)).not.toContain("Katie");
  expect(JSON.stringify(others.events)).not.toContain("loud");
  own.stop();
  others.stop();
  await kate.close();
});

test("[PRO-3] changes of many users, and several of one in a row, end with what was set last in every room", async () => {
  const users = await Promise.all(Array.from({ length: 8 }, (_, n) => server.user(`many${n}`)));
  const rooms = await Promise.all(Array.from({ length: 5 }, () => alice.createRoom({ joinRule: "PUBLIC" })));
  for (const user of users) for (const roomId of rooms) await user.join(roomId);
  await Promise.all(
    users.map(async (user, n) => {
      for (let round = 0; round < 5; round++) await user.setProfile("displayname", `${n} in round ${round}`);
      await user.setProfile("displayname", `${n} here`, rooms[n % 5]!);
    }),
  );
  const settled = async (): Promise<boolean> => {
    const wanted = users.map((user, n) =>
      rooms.map(async (roomId, index) => {
        const name = n % 5 === index ? `${n} here` : `${n} in round 4`;
        return (await told(roomId, user.userId)).at(-1)?.["displayname"] === name;
      }),
    );
    return (await Promise.all(wanted.flat())).every(Boolean);
  };
  await until(settled);
  for (const user of users) await user.close();
});
