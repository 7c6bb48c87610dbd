import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { joinRoom } from "../../../src/domain/actions/joinRoom.ts";
import { startApp, type TestApp } from "../../kit/app.ts";
import type { Client } from "../../kit/client.ts";
import { until } from "../../kit/until.ts";
import { Caller, registerServices, type Service } from "./support/callers.ts";

let server: TestApp;
let alice: Client;
let bob: Client;
let aliceCalls: Caller;
let bobCalls: Caller;
let irc: Service;
let other: Service;

const forbidden = { status: 403, body: { errcode: "M_FORBIDDEN" } };
const notFound = { status: 404, body: { errcode: "M_NOT_FOUND" } };
const done = { status: 200, body: {} };
const coded = encodeURIComponent;

beforeAll(async () => {
  server = await startApp({ mirrors: false, config: { presence: true, sessionTimeoutMs: 2000 } });
  [alice, bob] = [await server.user("alice", "phone"), await server.user("bob", "laptop")];
  [aliceCalls, bobCalls] = [alice, bob].map(({ token }) => new Caller(server.address, token)) as [Caller, Caller];
  const namespaces = (name: string) => ({
    users: [{ regex: `@${name}_.*`, exclusive: true }],
    aliases: [{ regex: `#${name}_.*`, exclusive: true }],
  });
  [irc, other] = (await registerServices(server, { irc: namespaces("irc"), other: namespaces("other") })) as [
    Service,
    Service,
  ];
});

afterAll(async () => {
  await server.close();
  expect(server.errors).toEqual([]);
});

async function ghost(username: string): Promise<{ userId: string; calls: Caller }> {
  const { body } = await irc.caller.post("/register", { username, inhibit_login: true });
  const userId = String(body["user_id"]);
  return { userId, calls: irc.caller.as(userId) };
}

describe("profiles", () => {
  test("[AS-13] SyTest: AS can set displayname and avatar for ghosted users", async () => {
    const { userId, calls } = await ghost("irc_Shown-[m]");
    const path = `/profile/${coded(userId)}`;
    expect(await aliceCalls.get(path)).toEqual(done);
    expect(await aliceCalls.get(`${path}/displayname`)).toEqual(done);
    for (const prefix of ["v3", "r0", "api/v1", "v2_alpha"]) {
      const displayname = `Ghost of ${prefix}`;
      const put = await calls.put(`${path}/displayname`, { displayname }, { prefix: `/_matrix/client/${prefix}` });
      expect(put).toEqual(done);
      expect((await aliceCalls.get(`/profile/${userId}/displayname/`)).body).toEqual({ displayname });
    }
    const avatar_url = "mxc://localhost/somewhere";
    expect(await calls.put(`${path}/avatar_url`, { avatar_url })).toEqual(done);
    expect((await aliceCalls.get(`${path}/avatar_url`)).body).toEqual({ avatar_url });
    const seen = await alice.do("query ($id: ID!) { user(id: $id) { displayName } }", { id: userId });
    expect(seen).toEqual({ user: { displayName: "Ghost of v2_alpha" } });
    for (const displayname of [null, ""]) {
      await calls.put(`${path}/displayname`, { displayname: "Again" });
      expect(await calls.put(`${path}/displayname`, { displayname })).toEqual(done);
      expect((await aliceCalls.get(path)).body).toEqual({ avatar_url });
    }
  });

  test("[AS-13] SyTest: AS can't set displayname for random users, nor can anybody else", async () => {
    const path = `/profile/${coded(bob.userId)}/displayname`;
    const body = { displayname: "Not Bob" };
    expect(await irc.caller.put(path, body)).toMatchObject(forbidden);
    expect(await irc.caller.as(bob.userId).put(path, body)).toMatchObject(forbidden);
    expect(await aliceCalls.put(path, body)).toMatchObject(forbidden);
    expect((await aliceCalls.get(path)).body).toEqual({});
  });

  test("of nobody are not found, and what is no name isn't taken", async () => {
    for (const name of ["@nobody:localhost", "nonsense", "@%00:localhost"])
      for (const end of ["", "/displayname", "/avatar_url"])
        expect(await aliceCalls.get(`/profile/${coded(name)}${end}`)).toMatchObject(notFound);
    const path = `/profile/${alice.userId}/displayname`;
    for (const displayname of [1, {}, "a\0b", "x".repeat(30_000)])
      expect((await aliceCalls.put(path, { displayname })).body["errcode"]).toMatch(/^M_(INVALID_PARAM|TOO_LARGE)$/);
    expect((await aliceCalls.get(path)).body).toEqual({});
  });
});

describe("presence", () => {
  const statusOf = (userId: string) => `/presence/${coded(userId)}/status`;

  test("[PRE-1, PRE-4] that somebody sets is seen by whom they share a room with", async () => {
    const carol = await server.user("carol");
    const carolCalls = new Caller(server.address, carol.token);
    expect(await carolCalls.put(statusOf(carol.userId), { presence: "unavailable", status_msg: "Away" })).toEqual(done);
    expect(await aliceCalls.get(statusOf(carol.userId))).toMatchObject(forbidden);
    expect(await aliceCalls.get(statusOf("@nobody:localhost"))).toMatchObject(notFound);
    const room = await alice.createRoom({ joinRule: "PUBLIC" });
    await carol.join(room);
    expect((await aliceCalls.get(statusOf(carol.userId))).body).toEqual({
      ...{ presence: "unavailable", status_msg: "Away", currently_active: false },
      last_active_ago: expect.any(Number) as number,
    });
    expect(await aliceCalls.put(statusOf(carol.userId), { presence: "online" })).toMatchObject(forbidden);
    for (const body of [{}, { presence: "busy" }, { presence: "online", status_msg: "x".repeat(256) }])
      expect(await carolCalls.put(statusOf(carol.userId), body)).toMatchObject({ status: 400 });
    expect((await aliceCalls.get(statusOf(carol.userId))).body).toMatchObject({ presence: "unavailable" });
  });

  test("[AS-13, PRE-1] of a ghost is what its service says, to REST and GraphQL alike, while the service uses it", async () => {
    const [{ userId, calls }, twin] = [await ghost("irc_there"), await ghost("irc_twin")];
    const room = await alice.createRoom({ joinRule: "PUBLIC" });
    for (const { userId: each } of [{ userId }, twin]) {
      await alice.membership("invite", room, each);
    }
    const { domain } = server.app;
    for (const each of [userId, twin.userId]) {
      const service = { id: "irc", as: "own" as const };
      const requester = { userId: each, deviceId: "service:irc", tokenId: "service:irc", admin: false, service };
      await joinRoom(domain.tools, requester, { target: { roomId: room } });
    }
    expect((await aliceCalls.get(statusOf(userId))).body).toEqual({ presence: "offline" });
    // Both at once: they are on the same token.
    const online = { presence: "online", status_msg: "On IRC" };
    const said = await Promise.all([
      calls.put(statusOf(userId), online),
      twin.calls.put(statusOf(twin.userId), { presence: "unavailable" }),
    ]);
    expect(said).toEqual([done, done]);
    const presence = "query ($id: ID!) { user(id: $id) { presence { state status } } }";
    expect(await alice.do(presence, { id: userId })).toEqual({
      user: { presence: { state: "ONLINE", status: "On IRC" } },
    });
    expect(await alice.do(presence, { id: twin.userId })).toEqual({
      user: { presence: { state: "IDLE", status: null } },
    });
    // What it does as one goes on, what it leaves alone is over.
    await until(async () => {
      expect((await calls.get("/account/whoami")).status).toBe(200);
      return (await aliceCalls.get(statusOf(twin.userId))).body["presence"] === "offline";
    });
    expect((await aliceCalls.get(statusOf(userId))).body).toMatchObject({ presence: "online" });
    await calls.put(statusOf(userId), { presence: "offline" });
    expect((await aliceCalls.get(statusOf(userId))).body).toEqual({ presence: "offline", status_msg: "On IRC" });
    expect(await irc.caller.put(statusOf(userId), online)).toMatchObject(forbidden);
  });
});

describe("aliases", () => {
  const aliasPath = (alias: string) => `/directory/room/${coded(alias)}`;

  test("[AS-13, ALI-1, ALI-2] lead to rooms, and are taken once", async () => {
    const [room, second] = [await alice.createRoom(), await alice.createRoom()];
    const path = aliasPath("#Fire/Place:localhost");
    expect(await aliceCalls.get(path)).toMatchObject(notFound);
    expect(await aliceCalls.put(path, { room_id: room })).toEqual(done);
    expect((await bobCalls.get(`${path}/`)).body).toEqual({ room_id: room, servers: ["localhost"] });
    const taken = await aliceCalls.put(path, { room_id: second });
    expect(taken).toMatchObject({ status: 409, body: { errcode: "M_UNKNOWN", code: "ALIAS_IN_USE" } });
    expect(await bobCalls.delete(path)).toMatchObject(notFound);
    expect(await aliceCalls.delete(path)).toEqual(done);
    expect(await aliceCalls.delete(path)).toMatchObject(notFound);
    for (const wrong of ["nonsense", "#x", "#a\0:localhost"])
      expect(await aliceCalls.get(aliasPath(wrong))).toMatchObject({ status: 400, body: { field: "alias" } });
    expect(await aliceCalls.put(path, { room_id: 7 })).toMatchObject({ status: 400, body: { field: "room_id" } });
    expect(await aliceCalls.put(path, { room_id: "!none:localhost" })).toMatchObject(notFound);
  });

  test("[AS-13] SyTest: AS can make room aliases, and deletes all of its namespace", async () => {
    const room = await alice.createRoom({ joinRule: "PUBLIC" });
    const path = aliasPath("#irc_#chan:localhost");
    expect(await irc.caller.put(path, { room_id: room })).toEqual(done);
    expect((await aliceCalls.get(path)).body).toMatchObject({ room_id: room });
    expect(await irc.caller.delete(path)).toEqual(done);
    const closed = await alice.createRoom();
    expect(await irc.caller.put(path, { room_id: closed })).toMatchObject(notFound);
    expect(await irc.caller.put(aliasPath("#mine:localhost"), { room_id: room })).toMatchObject(notFound);
  });

  test("[AS-13] SyTest: Regular users cannot create room aliases within the AS namespace", async () => {
    const room = await alice.createRoom();
    const refused = await aliceCalls.put(aliasPath("#irc_mine:localhost"), { room_id: room });
    expect(refused).toMatchObject({ status: 400, body: { errcode: "M_EXCLUSIVE" } });
    expect(await aliceCalls.get(aliasPath("#irc_mine:localhost"))).toMatchObject(notFound);
  });
});

describe("published rooms", () => {
  const listPath = (room: string) => `/directory/list/room/${coded(room)}`;
  const networkPath = (network: string, room: string) => `/directory/list/appservice/${coded(network)}/${coded(room)}`;

  async function listed(by: Caller, body: object): Promise<unknown[]> {
    const answer = await by.post("/publicRooms", { limit: 100_000_000, ...body });
    expect(answer.status).toBe(200);
    return (answer.body["chunk"] as { room_id: string }[]).map((each) => each.room_id);
  }

  test("[AS-13, DIR-4] are those that operators publish, found by a text and page by page", async () => {
    const rooms: string[] = [];
    for (const name of ["Hearth one", "Hearth two", "Elsewhere"])
      rooms.push(await alice.createRoom({ name, topic: "Talk", joinRule: "PUBLIC" }));
    await bob.join(rooms[1]!);
    expect((await aliceCalls.get(listPath(rooms[0]!))).body).toEqual({ visibility: "private" });
    expect(await bobCalls.get(listPath(rooms[0]!))).toMatchObject(notFound);
    expect(await bobCalls.put(listPath(rooms[0]!), { visibility: "public" })).toMatchObject(notFound);
    expect(await bobCalls.put(listPath(rooms[1]!), { visibility: "public" })).toMatchObject(forbidden);
    for (const room of rooms) expect(await aliceCalls.put(listPath(room), { visibility: "public" })).toEqual(done);
    expect((await bobCalls.get(listPath(rooms[0]!))).body).toEqual({ visibility: "public" });
    await alice.do(
      "mutation ($id: ID!, $alias: ID!) { createAlias(input: { roomId: $id, alias: $alias }) { actionId } }",
      {
        ...{ id: rooms[1], alias: "#two:localhost" },
      },
    );
    const filter = { generic_search_term: "hearth" };
    const first = await bobCalls.post("/publicRooms", { filter, limit: 1 });
    expect(first.body).toEqual({
      chunk: [
        {
          ...{ room_id: rooms[1], name: "Hearth two", topic: "Talk", num_joined_members: 2, join_rule: "public" },
          ...{ canonical_alias: "#two:localhost", aliases: ["#two:localhost"] },
          ...{ world_readable: false, guest_can_join: false },
        },
      ],
      next_batch: expect.any(String) as string,
      total_room_count_estimate: 2,
    });
    const since = first.body["next_batch"];
    const second = await bobCalls.post("/publicRooms", { filter, limit: 1, since });
    expect(second.body).toMatchObject({ chunk: [{ room_id: rooms[0] }] });
    expect(second.body).not.toHaveProperty("next_batch");
    const all = await bobCalls.call("/publicRooms", { query: { limit: "2" }, prefix: "/_matrix/client/r0" });
    expect(all.body["chunk"]).toHaveLength(2);
    for (const wrong of [
      { since: "x" },
      { limit: "many" },
      { filter: 1 },
      { filter: { generic_search_term: "x".repeat(256) } },
    ])
      expect(await bobCalls.post("/publicRooms", wrong)).toMatchObject({
        status: 400,
        body: { errcode: "M_INVALID_PARAM" },
      });
    expect(await aliceCalls.put(listPath(rooms[2]!), { visibility: "private" })).toEqual(done);
    expect(await listed(bobCalls, {})).not.toContain(rooms[2]);
  });

  test("[AS-13] SyTest: AS can publish rooms in their own list", async () => {
    const room = await alice.createRoom({ name: "Test Name", topic: "Test Topic", joinRule: "PUBLIC" });
    const network = "random|network";
    expect(await irc.caller.put(networkPath(network, room), { visibility: "public" })).toEqual(done);
    expect(await listed(aliceCalls, {})).not.toContain(room);
    expect(await listed(aliceCalls, { third_party_instance_id: `irc|${network}` })).toEqual([room]);
    for (const instance of ["irc|random", "other|random|network", "nobody|random|network", "irc", "\0"])
      expect(await listed(aliceCalls, { third_party_instance_id: instance })).toEqual([]);
    expect(await listed(aliceCalls, { include_all_networks: true })).toContain(room);
    const shown = await aliceCalls.post("/publicRooms", {
      ...{ third_party_instance_id: `irc|${network}`, filter: { generic_search_term: "TEST  name" } },
    });
    expect(shown.body).toMatchObject({ chunk: [{ room_id: room, name: "Test Name", num_joined_members: 1 }] });
    const elsewhere = { third_party_instance_id: `irc|${network}`, filter: { generic_search_term: "nowhere" } };
    expect(await listed(aliceCalls, elsewhere)).toEqual([]);
    expect(await other.caller.delete(networkPath(network, room))).toEqual(done);
    expect(await listed(aliceCalls, { third_party_instance_id: `irc|${network}` })).toEqual([room]);
    expect(await irc.caller.delete(networkPath(network, room))).toEqual(done);
    expect(await listed(aliceCalls, { third_party_instance_id: `irc|${network}` })).toEqual([]);
  });

  test("[AS-13] SyTest: AS and main public room lists are separate", async () => {
    const room = await alice.createRoom({ name: "Both", joinRule: "PUBLIC" });
    await irc.caller.put(networkPath("net", room), { visibility: "public" });
    await aliceCalls.put(listPath(room), { visibility: "public" });
    const everywhere = { include_all_networks: true };
    expect(await listed(aliceCalls, {})).toContain(room);
    expect(await listed(aliceCalls, { third_party_instance_id: "irc|net" })).toEqual([room]);
    expect((await listed(aliceCalls, everywhere)).filter((each) => each === room)).toEqual([room]);
    await irc.caller.put(networkPath("net", room), { visibility: "private" });
    expect(await listed(aliceCalls, { third_party_instance_id: "irc|net" })).toEqual([]);
    expect(await listed(aliceCalls, {})).toContain(room);
    expect(await listed(aliceCalls, everywhere)).toContain(room);
  });

  test("of networks come page by page after the published ones, each once", async () => {
    const rooms: string[] = [];
    for (let n = 0; n < 3; n++) rooms.push(await alice.createRoom({ name: `Paged ${n}`, joinRule: "PUBLIC" }));
    for (const room of rooms) {
      await irc.caller.put(networkPath("one", room), {});
      await other.caller.put(networkPath("two", room), {});
    }
    await aliceCalls.put(listPath(rooms[0]!), { visibility: "public" });
    const found: string[] = [];
    let since: string | undefined;
    do {
      const asked = { include_all_networks: true, filter: { generic_search_term: "paged" }, limit: 1, since };
      const { status, body } = await bobCalls.post("/publicRooms", asked);
      expect(status).toBe(200);
      found.push(...(body["chunk"] as { room_id: string }[]).map((each) => each.room_id));
      since = body["next_batch"] as string | undefined;
    } while (since !== undefined);
    expect(found[0]).toBe(rooms[0]);
    expect(found.slice(1)).toEqual(rooms.slice(1).sort());
  });

  test("[EV-9] of networks are rooms that anybody may join, or that the service operates", async () => {
    const room = await alice.createRoom({ name: "Private" });
    const path = networkPath("net", room);
    expect(await irc.caller.put(path, {})).toMatchObject(notFound);
    await alice.membership("invite", room, "@irc-bot:localhost");
    expect(await irc.caller.put(path, {})).toMatchObject(forbidden);
    expect(await aliceCalls.put(path, {})).toMatchObject(forbidden);
    expect(await irc.caller.put(path, {}, { query: { user_token: alice.token! } })).toMatchObject(forbidden);
    expect(await irc.caller.put(networkPath("net", "!none:localhost"), {})).toMatchObject(notFound);
    expect(await irc.caller.put(networkPath("x".repeat(300), room), {})).toMatchObject({ status: 400 });
    expect(await listed(aliceCalls, { third_party_instance_id: "irc|net" })).toEqual([]);
  });
});
