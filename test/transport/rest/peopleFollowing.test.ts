import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../../kit/app.ts";
import type { Client } from "../../kit/client.ts";
import { sql } from "../../kit/database.ts";
import { until } from "../../kit/until.ts";
import { Caller, registerServices, type Answered, type Service } from "./support/callers.ts";

type Json = Record<string, unknown>;
interface Events {
  events: Json[];
}
interface Joined {
  state: Events;
  timeline: Events & { limited: boolean; prev_batch: string };
  ephemeral: Events;
  account_data: Events;
  unread_notifications: Json;
}
interface Sync {
  next_batch: string;
  rooms: {
    join: Record<string, Joined>;
    invite: Record<string, { invite_state: Events }>;
    leave: Record<string, { timeline: Events }>;
  };
  presence: Events;
  account_data: Events;
}

let server: TestApp;
let alice: Client;
let bob: Client;
let aliceCalls: Caller;
let bobCalls: Caller;
let irc: Service;
let room: string;

const forbidden = { status: 403, body: { errcode: "M_FORBIDDEN" } };
const notFound = { status: 404, body: { errcode: "M_NOT_FOUND" } };
const invalid = { status: 400, body: { errcode: "M_INVALID_PARAM" } };
const done = { status: 200, body: {} };
const coded = encodeURIComponent;

beforeAll(async () => {
  server = await startApp({ mirrors: false, config: { presence: true } });
  [alice, bob] = [await server.user("alice", "phone"), await server.user("bob", "laptop")];
  [aliceCalls, bobCalls] = [alice, bob].map(({ token }) => new Caller(server.address, token)) as [Caller, Caller];
  [irc] = (await registerServices(server, { irc: { users: [{ regex: "@irc_.*", exclusive: true }] } })) as [Service];
  room = await alice.createRoom({ name: "Fire", joinRule: "PUBLIC" });
  await bob.setProfile("displayname", "Bob");
  await bob.join(room);
});

afterAll(async () => {
  await server.close();
  expect(server.errors).toEqual([]);
});

async function sync(by: Caller, query: Record<string, string> = {}): Promise<Sync> {
  const { status, body } = await by.get("/sync", query);
  expect([status, body]).toMatchObject([200, { next_batch: expect.any(String) as string }]);
  return body as unknown as Sync;
}

const types = ({ events }: Events) => events.map(({ type }) => type);
const bodies = ({ events }: Events) => events.map(({ content }) => (content as Json)["body"]);

describe("[AS-13] /sync", () => {
  test("brings on the first call all that one is in, in the older form", async () => {
    await bob.send(room, "hello");
    const first = await sync(aliceCalls);
    const { state, timeline, unread_notifications } = first.rooms.join[room]!;
    expect(bodies(timeline).at(-1)).toBe("hello");
    expect(timeline.events.at(-1)).toMatchObject({ type: "m.room.message", sender: bob.userId, room_id: room });
    expect(timeline.events.at(-1)).not.toHaveProperty("state_key");
    expect(unread_notifications).toEqual({ notification_count: 1, highlight_count: 0 });
    const all = [...state.events, ...timeline.events];
    const member = all.find(({ type, state_key }) => type === "m.room.member" && state_key === bob.userId);
    expect(member).toMatchObject({ content: { membership: "join", displayname: "Bob" }, user_id: bob.userId });
    expect(all.find(({ type }) => type === "m.room.name")).toMatchObject({ state_key: "", content: { name: "Fire" } });
    expect(types({ events: all })).not.toContain("m.room.member.profile");
    expect(new Set(all.map(({ event_id }) => event_id)).size).toBe(all.length);
  });

  test("goes on where it was: with what happened since, and nothing twice", async () => {
    const { next_batch: since } = await sync(bobCalls);
    const nothing = await sync(bobCalls, { since });
    expect(nothing.rooms).toEqual({ join: {}, invite: {}, leave: {} });
    await alice.send(room, "one");
    await alice.setState(room, "m.room.topic", { topic: "Warmth" });
    const news = await sync(bobCalls, { since });
    expect(types(news.rooms.join[room]!.timeline)).toEqual(["m.room.message", "m.room.topic"]);
    expect(news.rooms.join[room]).toMatchObject({ timeline: { limited: false }, state: { events: [] } });
    expect((await sync(bobCalls, { since: news.next_batch })).rooms.join).toEqual({});
    const filter = JSON.stringify({ room: { timeline: { limit: 1 } } });
    const limited = await sync(bobCalls, { since, filter });
    const joined = limited.rooms.join[room]!;
    expect([joined.timeline.limited, types(joined.timeline)]).toEqual([true, ["m.room.topic"]]);
    await alice.send(room, "two");
    const whole = await sync(bobCalls, { since: news.next_batch, full_state: "true" });
    expect(bodies(whole.rooms.join[room]!.timeline)).toEqual(["two"]);
    expect(types(whole.rooms.join[room]!.state)).toContain("m.room.name");
  });

  test("waits until something comes, or for as long as it is asked to", async () => {
    // Presence is news as well, and comes when it comes.
    const filter = JSON.stringify({ presence: { not_types: ["*"] } });
    const { next_batch: since } = await sync(bobCalls, { filter });
    const waiting = sync(bobCalls, { since, filter, timeout: "30000" });
    await alice.send(room, "at last");
    const news = await waiting;
    expect(bodies(news.rooms.join[room]!.timeline)).toEqual(["at last"]);
    const began = performance.now();
    const empty = await sync(bobCalls, { since: news.next_batch, filter, timeout: "150" });
    expect(performance.now() - began).toBeGreaterThan(140);
    expect(empty.rooms.join).toEqual({});
  });

  test("tells of typing, receipts, presence and account data, also of what came between two calls", async () => {
    const typing = (on: boolean) =>
      alice.do(
        "mutation ($room: ID!, $on: Boolean!) { setTyping(input: { roomId: $room, typing: $on }) { room { id } } }",
        {
          ...{ room, on },
        },
      );
    let { next_batch: since } = await sync(bobCalls);
    /** Polls until an answer has it. */
    async function heard(has: (answer: Sync) => boolean): Promise<Sync> {
      for (;;) {
        const answer = await sync(bobCalls, { since, timeout: "10000" });
        since = answer.next_batch;
        if (has(answer)) return answer;
      }
    }
    const ephemeral = (answer: Sync, type: string) =>
      answer.rooms.join[room]?.ephemeral.events.find((event) => event["type"] === type)?.["content"];
    await typing(true);
    await heard((answer) => JSON.stringify(ephemeral(answer, "m.typing")) === `{"user_ids":["${alice.userId}"]}`);
    await typing(false);
    await heard((answer) => JSON.stringify(ephemeral(answer, "m.typing")) === '{"user_ids":[]}');
    const eventId = await bob.send(room, "read me");
    await alice.mark(eventId);
    const marked = await heard((answer) => ephemeral(answer, "m.receipt") !== undefined);
    expect(ephemeral(marked, "m.receipt")).toMatchObject({
      [eventId]: { "m.read": { [alice.userId]: { ts: expect.any(Number) as number } } },
    });
    await aliceCalls.put(`/presence/${coded(alice.userId)}/status`, { presence: "unavailable", status_msg: "Tea" });
    const present = await heard(({ presence }) =>
      presence.events.some(({ content }) => (content as Json)["status_msg"] === "Tea"),
    );
    expect(present.presence.events).toContainEqual({
      ...{ type: "m.presence", sender: alice.userId },
      content: { presence: "unavailable", status_msg: "Tea", currently_active: false },
    });
    const waiting = heard(({ account_data }) => account_data.events.length > 0);
    await bobCalls.put(`/user/${coded(bob.userId)}/account_data/org.example`, { a: 1 });
    expect((await waiting).account_data.events).toEqual([{ type: "org.example", content: { a: 1 } }]);
    await bobCalls.put(`/user/${coded(bob.userId)}/rooms/${coded(room)}/tags/m.favourite`, { order: 0.25 });
    const tagged = await heard(({ rooms }) => (rooms.join[room]?.account_data.events.length ?? 0) > 0);
    expect(tagged.rooms.join[room]!.account_data.events).toEqual([
      { type: "m.tag", content: { tags: { "m.favourite": { order: 0.25 } } } },
    ]);
  });

  test("comes back at once when account data changes", async () => {
    // Who shares no room with anybody is told of nothing else, once it is told that they are there themselves.
    const frank = await server.user("frank");
    const calls = new Caller(server.address, frank.token);
    let { next_batch: since } = await sync(calls);
    for (let here = false; !here;) {
      const { presence, next_batch } = await sync(calls, { since, timeout: "10000" });
      [since, here] = [next_batch, presence.events.some(({ sender }) => sender === frank.userId)];
    }
    const open = server.app.domain.stream.count();
    // The first goes on with the stream that was kept, the second has one of its own.
    const waiting = [1, 2].map(() => sync(calls, { since, timeout: "60000" }));
    await until(() => server.app.domain.stream.count() > open);
    // In the time that all takes, both have read what little there was.
    for (let n = 0; n < 3; n++) await sync(aliceCalls);
    await calls.put(`/user/${coded(frank.userId)}/account_data/org.woken`, { a: 1 });
    for (const { account_data } of await Promise.all(waiting))
      expect(account_data.events).toContainEqual({ type: "org.woken", content: { a: 1 } });
  });

  test("tells of invites and of rooms that were left", async () => {
    const { next_batch: since } = await sync(bobCalls);
    const other = await alice.createRoom({ name: "Invited", invite: [bob.userId] });
    const asked = await sync(bobCalls, { since });
    const { events } = asked.rooms.invite[other]!.invite_state;
    expect(events).toContainEqual({
      ...{ type: "m.room.name", state_key: "", sender: alice.userId, content: { name: "Invited" } },
    });
    expect(events.at(-1)).toMatchObject({
      type: "m.room.member",
      state_key: bob.userId,
      content: { membership: "invite" },
    });
    expect((await sync(bobCalls, { since: asked.next_batch })).rooms.invite).toEqual({});
    await bob.join(other);
    const inside = await sync(bobCalls, { since: asked.next_batch });
    expect(types(inside.rooms.join[other]!.timeline)).toContain("m.room.member");
    await bob.leave(other);
    const left = await sync(bobCalls, { since: inside.next_batch });
    expect(left.rooms.leave[other]!.timeline.events).toMatchObject([{ content: { membership: "leave" } }]);
    expect(left.rooms.join).toEqual({});
  });

  test("by the filter of a bridge has members alone, and all of them in the state", async () => {
    const filter = JSON.stringify({
      ...{ event_fields: ["type", "content"], presence: { not_types: ["*"] } },
      room: { timeline: { limit: 0 }, ephemeral: { not_types: ["*"] }, state: { types: ["m.room.member"] } },
    });
    await irc.caller.post("/register", { username: "irc_member", inhibit_login: true });
    const r0 = { prefix: "/_matrix/client/r0" };
    const asked = await aliceCalls.call("/sync", { query: { filter }, ...r0 });
    const { rooms, presence } = asked.body as unknown as Sync;
    expect(presence.events).toEqual([]);
    const { state, timeline, ephemeral } = rooms.join[room]!;
    expect([timeline.events, ephemeral.events]).toEqual([[], []]);
    expect(state.events.map(({ type, state_key }) => [type, state_key]).sort()).toEqual([
      ["m.room.member", alice.userId],
      ["m.room.member", bob.userId],
    ]);
    // A profile that changed later is that of its member.
    await bob.setProfile("displayname", "Robert");
    await until(async () => {
      const again = await sync(aliceCalls, { filter });
      const members = again.rooms.join[room]!.state.events;
      expect(members).toHaveLength(2);
      const shown = members.find(({ state_key }) => state_key === bob.userId)!["content"] as Json;
      return shown["displayname"] === "Robert";
    });
    const none = await irc.caller.as("@irc_member:localhost").call("/sync", { query: { filter } });
    expect(none.body["rooms"]).toEqual({ join: {}, invite: {}, leave: {} });
  });

  test("refuses what makes no sense", async () => {
    const { next_batch: since } = await sync(aliceCalls);
    for (const query of [
      ...[{ since: "x" }, { since: "s1.x.y~0" }, { since: since.replace(/~.*/, "") }, { since: `${since}~1` }],
      ...[
        { timeout: "soon" },
        { filter: "{" },
        { filter: '{"room":1}' },
        { filter: '{"room":{"timeline":{"limit":-1}}}' },
      ],
      ...[{ set_presence: "busy" }, { full_state: "maybe" }],
    ])
      expect([query, await aliceCalls.get("/sync", query as unknown as Record<string, string>)]).toMatchObject([
        query,
        invalid,
      ]);
    // Tokens and filters are their user's own.
    expect(await bobCalls.get("/sync", { since })).toMatchObject(invalid);
    expect(await bobCalls.get("/sync", { filter: "nobody" })).toMatchObject(notFound);
    const many = JSON.stringify({ room: { rooms: Array.from({ length: 101 }, (_, n) => `!${n}:x`) } });
    expect(await bobCalls.get("/sync", { filter: many })).toMatchObject(invalid);
  });

  test("ends with the token", async () => {
    const carol = await server.user("carol");
    const calls = new Caller(server.address, carol.token);
    const filter = JSON.stringify({ presence: { not_types: ["*"] } });
    const { next_batch: since } = await sync(calls, { filter });
    const waiting = calls.get("/sync", { since, filter, timeout: "30000" });
    await new Caller(server.address, carol.token).post("/logout", {});
    expect((await waiting).status).toBe(401);
  });
});

describe("[AS-13] before /sync", () => {
  const old = { prefix: "/_matrix/client/api/v1" };

  test("initialSync gives the state of rooms, members included", async () => {
    const { status, body } = await bobCalls.call("/initialSync", { query: { limit: "0" }, ...old });
    expect(status).toBe(200);
    const joined = (body["rooms"] as Json[]).find(({ room_id }) => room_id === room)!;
    expect(joined).toMatchObject({ membership: "join", messages: { chunk: [] } });
    const members = (joined["state"] as Json[]).filter(({ type }) => type === "m.room.member");
    expect(members.map(({ state_key }) => state_key).sort()).toEqual([alice.userId, bob.userId]);
  });

  test("events come as they happen", async () => {
    const { body } = await bobCalls.call("/initialSync", { query: { limit: "0" }, ...old });
    const waiting = bobCalls.call("/events", { query: { from: String(body["end"]), timeout: "30000" }, ...old });
    await alice.send(room, "the old way");
    const first = await waiting;
    expect(first.body["chunk"]).toMatchObject([{ type: "m.room.message", content: { body: "the old way" } }]);
    const from = String(first.body["end"]);
    const nothing = await bobCalls.call("/events", { query: { from, timeout: "0" }, ...old });
    expect(nothing.body).toMatchObject({ chunk: [], start: from });
    expect(await bobCalls.call("/events", { query: { from: "x" }, ...old })).toMatchObject(invalid);
  });
});

describe("account data", () => {
  const of = (userId: string, rest: string) => `/user/${coded(userId)}${rest}`;

  test("is what was kept, of no room and of each, for its user alone", async () => {
    const [mine, ofRoom] = ["/account_data/org.a%2Fb", `/rooms/${coded(room)}/account_data/org.a%2Fb`];
    expect(await aliceCalls.get(of(alice.userId, mine))).toMatchObject(notFound);
    const odd = JSON.parse('{"__proto__":{"x":1},"n":0.5,"s":"\\u0000\\ud800"}') as Json;
    expect(await aliceCalls.put(of(alice.userId, mine), odd)).toEqual(done);
    expect(await aliceCalls.put(of(alice.userId, ofRoom), { here: true })).toEqual(done);
    const kept = await aliceCalls.get(of(alice.userId, mine));
    expect(JSON.stringify(kept.body)).toBe(JSON.stringify(odd));
    expect((await aliceCalls.get(of(alice.userId, `${ofRoom}/`))).body).toEqual({ here: true });
    for (const path of [mine, ofRoom, `/rooms/${coded(room)}/tags`]) {
      expect(await bobCalls.get(of(alice.userId, path))).toMatchObject(forbidden);
      expect(await bobCalls.put(of(alice.userId, path), {})).toMatchObject({
        status: path.endsWith("tags") ? 405 : 403,
      });
    }
    expect(await bobCalls.get(of(bob.userId, mine))).toMatchObject(notFound);
  });

  test("has bounds", async () => {
    const path = of(alice.userId, "/account_data/org.large");
    expect(await aliceCalls.put(path, { text: "x".repeat(70_000) })).toMatchObject({ status: 413 });
    expect(await aliceCalls.put(path, `{"a":${"[".repeat(30_000)}${"]".repeat(30_000)}}`)).toMatchObject(invalid);
    for (const body of ["[]", "1", "null"]) expect(await aliceCalls.put(path, body)).toMatchObject(invalid);
    for (const type of ["m.push_rules", "m.fully_read", "a\0", "x".repeat(256)])
      expect(await aliceCalls.put(of(alice.userId, `/account_data/${coded(type)}`), {})).toMatchObject(invalid);
    expect(await aliceCalls.get(path)).toMatchObject(notFound);
  });

  test("is changed one after the other, so that no tag gets lost, and goes with the account", async () => {
    const dave = await server.user("dave");
    const calls = new Caller(server.address, dave.token);
    const tags = of(dave.userId, `/rooms/${coded(room)}/tags`);
    expect((await calls.get(tags)).body).toEqual({ tags: {} });
    const names = Array.from({ length: 8 }, (_, n) => `u.${n}`);
    await Promise.all(names.map((name) => calls.put(`${tags}/${name}`, { order: 0.1 })));
    expect(Object.keys((await calls.get(tags)).body["tags"] as Json).sort()).toEqual(names);
    expect(await calls.delete(`${tags}/u.0`)).toEqual(done);
    expect((await calls.get(tags)).body["tags"]).not.toHaveProperty("u.0");
    const auth = { type: "m.login.password", password: "correct horse battery" };
    expect(await calls.post("/account/deactivate", { auth })).toMatchObject({ status: 200 });
    expect(await sql(server.databaseUrl, "SELECT * FROM account_data WHERE user_id = $1", [dave.userId])).toEqual([]);
  });
});

describe("filters and devices", () => {
  test("filters have ids, for their user alone", async () => {
    const path = `/user/${coded(alice.userId)}/filter`;
    const filter = { room: { timeline: { limit: 0, types: ["m.room.message"] } }, "org.own": { kept: true } };
    const { status, body } = await aliceCalls.post(path, filter);
    expect(status).toBe(200);
    const id = String(body["filter_id"]);
    expect((await aliceCalls.get(`${path}/${coded(id)}`)).body).toEqual(filter);
    const { rooms } = await sync(aliceCalls, { filter: id });
    expect(rooms.join[room]!.timeline.events).toEqual([]);
    expect(await bobCalls.get(`/user/${coded(bob.userId)}/filter/${coded(id)}`)).toMatchObject(notFound);
    expect(await bobCalls.get(`${path}/${coded(id)}`)).toMatchObject(forbidden);
    expect(await aliceCalls.get(`${path}/0`)).toMatchObject(notFound);
    expect(await aliceCalls.post(path, { room: "all" })).toMatchObject(invalid);
    expect(await aliceCalls.post(path, { "org.own": "x".repeat(5000) })).toMatchObject({ status: 413 });
  });

  test("[ACC-2] devices are listed, named and deleted", async () => {
    const erin = await server.user("erin", "PHONE");
    const calls = new Caller(server.address, erin.token);
    const login: Answered = await calls.post("/login", {
      ...{ type: "m.login.password", user: "erin", password: "correct horse battery" },
      ...{ device_id: "OLD", initial_device_display_name: "Attic" },
    });
    const { body } = await calls.get("/devices");
    expect((body["devices"] as Json[]).map(({ device_id }) => device_id)).toEqual(["PHONE", "OLD"]);
    expect((await calls.get("/devices/OLD")).body).toMatchObject({ device_id: "OLD", display_name: "Attic" });
    expect(await calls.put("/devices/OLD", { display_name: "Cellar" })).toEqual(done);
    expect((await calls.get("/devices/OLD/")).body["display_name"]).toBe("Cellar");
    expect(await calls.put("/devices/OLD", { display_name: 1 })).toMatchObject(invalid);
    expect(await calls.delete("/devices/OLD")).toEqual(done);
    const gone = new Caller(server.address, String(login.body["access_token"]));
    expect(await gone.get("/devices")).toMatchObject({ status: 401 });
    for (const missing of ["OLD", "a%00"]) {
      expect((await calls.get(`/devices/${missing}`)).status).toBe(404);
      expect([400, 404]).toContain((await calls.put(`/devices/${missing}`, { display_name: "x" })).status);
    }
    expect(await aliceCalls.get("/devices/PHONE")).toMatchObject(notFound);
  });
});
