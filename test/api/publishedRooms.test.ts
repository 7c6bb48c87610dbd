import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { holdAppendLock, sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

const config = { admins: ["root"] };
let now = 1_800_000_000_000;

let server: TestApp;
/** Another process on the same database. */
let other: TestApp;
let alice: Client;
let bob: Client;
let root: Client;
beforeAll(async () => {
  const clock = { now: () => now };
  server = await startApp({ config, clock });
  other = await startApp({ config, clock, databaseUrl: server.databaseUrl });
  [alice, bob, root] = await Promise.all([server.user("alice"), server.user("bob"), server.user("root")]);
});
afterAll(async () => {
  expect([...server.errors, ...other.errors]).toEqual([]);
  await other.close();
  await server.close();
});

const list = `query ($search: String, $server: String, $first: Int! = 30, $after: ChunkToken) {
  publishedRooms(search: $search, server: $server, first: $first, after: $after) {
    nodes { id name topic avatarMxc aliases memberCount viewerMembership }
    edges { cursor node { id } }
    totalCount
    page
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;
const publishing = `mutation ($roomId: ID!, $published: Boolean!) {
  publishRoom(input: { roomId: $roomId, published: $published }) { room { id published } roomId published } }`;

/** The same user at another process. */
function at({ address }: TestApp, { token, userId, deviceId }: Client): Client {
  return new Client(address, token, userId, deviceId);
}

interface Listed {
  nodes: {
    id: string;
    name: string | null;
    topic: string | null;
    avatarMxc: string | null;
    aliases: string[];
    memberCount: number;
    viewerMembership: string | null;
  }[];
  edges: { cursor: string; node: { id: string } }[];
  totalCount: number;
  page: number;
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
}

async function listed(client: Client, variables: Record<string, unknown> = {}): Promise<Listed> {
  return (await client.do<{ publishedRooms: Listed }>(list, variables)).publishedRooms;
}

async function found(search: string, client = alice): Promise<string[]> {
  return (await listed(client, { search })).nodes.map(({ id }) => id);
}

async function publish(client: Client, roomId: string, published = true): Promise<void> {
  await client.do(publishing, { roomId, published });
}

async function refusal(client: Client, query: string, variables: Record<string, unknown>) {
  const [error] = (await client.ask(query, variables)).errors ?? [];
  const { code, field } = error?.extensions ?? {};
  return field === undefined ? { code } : { code, field };
}

async function snapshots(): Promise<{ search: string; total: number }[]> {
  return sql(server.databaseUrl, "SELECT search, total FROM published_snapshot ORDER BY expires_at, search");
}

const waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";

/** What the directory holds, with what it should hold as the room's own tables say. */
async function directory(): Promise<{ kept: unknown[]; right: unknown[] }> {
  const kept = await sql(
    server.databaseUrl,
    `SELECT room_id, name, topic, aliases, members FROM published_room JOIN published_rank USING (id) ORDER BY room_id`,
  );
  const text = (type: string, key: string, slot = "_") =>
    `(SELECT content::jsonb -> '${key}' FROM current_state JOIN event USING (event_id)
      WHERE current_state.room_id = room.room_id AND current_state.type = '${type}' AND current_state.state_key = '${slot}')`;
  const right = await sql(
    server.databaseUrl,
    `SELECT room_id, ${text("m.room.name", "name")} #>> '{}' AS name, ${text("m.room.topic", "topic")} #>> '{}' AS topic,
       ARRAY(SELECT jsonb_array_elements_text(${text("m.room.aliases", "aliases", "localhost")})) AS aliases,
       (SELECT count(*)::integer FROM member WHERE member.room_id = room.room_id AND membership = 'join') AS members
     FROM room WHERE published AND deleted_at IS NULL ORDER BY room_id`,
  );
  return { kept, right };
}

describe("[DIR-1] search", () => {
  test("finds a room by its alias, its name and its topic, in any case", async () => {
    const alias = "#Hearthside-1:localhost";
    const input = { published: true, name: "Sitting Around", topic: "Marshmallows, mostly", alias };
    const state = [{ type: "m.room.avatar", content: { url: "mxc://localhost/fire" } }];
    const roomId = await alice.createRoom({ ...input, state });
    for (const search of ["hearthside-1", "SITTING", "g aR", "mallows, MOST", ":localhost", "#hearth", "  around "]) {
      expect(await found(search, bob), search).toContain(roomId);
    }
    for (const search of ["hearthside-2", "around marshmallows", "sittingaround", "mostly#"]) {
      expect(await found(search, bob), search).toEqual([]);
    }
    const page = await listed(bob, { search: "marshmallows" });
    expect(page).toMatchObject({ totalCount: 1, page: 1, pageInfo: { hasNextPage: false, hasPreviousPage: false } });
    expect(page.nodes).toEqual([
      {
        ...{ id: roomId, name: input.name, topic: input.topic, avatarMxc: "mxc://localhost/fire", aliases: [alias] },
        ...{ memberCount: 1, viewerMembership: null },
      },
    ]);
    expect((await listed(alice, { search: "marshmallows" })).nodes[0]!.viewerMembership).toBe("JOIN");
  });

  test("takes what looks like a pattern for what it is", async () => {
    const names = ["100% wool", "100 wool", "snake_case", "snakeXcase", String.raw`back\slash`, "back/slash", "a'b\"c"];
    const rooms = new Map<string, string>();
    for (const name of names) rooms.set(name, await alice.createRoom({ published: true, name }));
    for (const [search, name] of [
      ["100%", "100% wool"],
      ["0% w", "100% wool"],
      ["snake_c", "snake_case"],
      ["_cas", "snake_case"],
      [String.raw`back\s`, String.raw`back\slash`],
      [String.raw`k\sl`, String.raw`back\slash`],
      ["a'b\"", "a'b\"c"],
    ] as const) {
      expect(await found(search), search).toEqual([rooms.get(name)]);
    }
    expect(await found("\\")).toEqual([rooms.get(String.raw`back\slash`)]);
    expect(await found("%")).toEqual([rooms.get("100% wool")]);
    expect(await found("wo%ol")).toEqual([]);
  });

  test.each([
    ["Cyrillic", "Чайная Комната", "ЧАЙНАЯ ком"],
    ["Greek", "ΟΔΟΣ ΑΘΗΝΑΣ", "οδος αθηνας"],
    ["Chinese, by two characters", "东京都的朋友们", "京都"],
    ["an emoji", "Only 🦊 here", "🦊"],
    ["composed otherwise", "Cafe\u0301 Noir", "caf\u00e9 noir"],
    ["full width", "ＨＥＡＲＴＨ club", "hearth CLUB"],
    ["umlauts", "ÄRGER ÖFFENTLICH", "ärger öff"],
  ])("in other letters: %s", async (_what, name, search) => {
    const roomId = await alice.createRoom({ published: true, name });
    expect(await found(search)).toEqual([roomId]);
  });

  test("follows what the room says of itself, and rooms that say nothing are listed", async () => {
    const roomId = await alice.createRoom({ published: true });
    expect((await listed(alice, { first: 100 })).nodes).toContainEqual({
      ...{
        id: roomId,
        name: null,
        topic: null,
        avatarMxc: null,
        aliases: [],
        memberCount: 1,
        viewerMembership: "JOIN",
      },
    });
    await alice.setState(roomId, "m.room.name", { name: "Quillwork" });
    expect(await found("quillwork")).toEqual([roomId]);
    await alice.setState(roomId, "m.room.name", { name: "Needlework" });
    expect(await found("quillwork")).toEqual([]);
    expect(await found("needlework")).toEqual([roomId]);
    await alice.do(
      'mutation ($roomId: ID!) { deleteState(input: { roomId: $roomId, type: "m.room.name" }) { actionId } }',
      { roomId },
    );
    expect(await found("needlework")).toEqual([]);
  });

  test("what is redacted or rejected is found no more", async () => {
    const roomId = await alice.createRoom({ published: true, name: "Greenwood" });
    const topic = await alice.setState(roomId, "m.room.topic", { topic: "zoobly insults" });
    expect(await found("zoobly")).toEqual([roomId]);
    await alice.redact(topic);
    expect(await found("zoobly")).toEqual([]);
    expect((await listed(bob, { search: "greenwood" })).nodes[0]!.topic).toBeNull();
    const eventId = await alice.setState(roomId, "m.room.name", { name: "Free Frobnitz" });
    expect(await found("frobnitz")).toEqual([roomId]);
    await root.do("mutation ($eventId: ID!) { rejectEvent(input: { eventId: $eventId }) { actionId } }", { eventId });
    expect(await found("frobnitz")).toEqual([]);
    expect(await found("greenwood")).toEqual([roomId]);
  });

  test("long names and many aliases leave room for the topic", async () => {
    const name = "ж".repeat(1000);
    const topic = `about wozzles ${"и".repeat(4000)}`;
    const roomId = await alice.createRoom({ published: true, name, topic });
    expect(await found("ЖЖЖЖ")).toEqual([roomId]);
    expect(await found("wozzles")).toEqual([roomId]);
    expect((await listed(bob, { search: "wozzles" })).nodes[0]).toMatchObject({ name, topic });
  });

  test("bad input is told by its field, and stores nothing", async () => {
    const before = await snapshots();
    expect(await refusal(alice, list, { search: "x".repeat(256) })).toEqual({ code: "BAD_INPUT", field: "search" });
    expect(await refusal(alice, list, { first: 501 })).toEqual({ code: "BAD_INPUT", field: "first" });
    expect(await refusal(alice, list, { first: -1 })).toEqual({ code: "BAD_INPUT", field: "first" });
    expect(await refusal(alice, list, { server: "example.org" })).toEqual({ code: "UNSUPPORTED", field: "server" });
    expect(await refusal(alice, list, { after: "nonsense" })).toEqual({ code: "BAD_TOKEN" });
    expect(await refusal(server.stranger(), list, {})).toEqual({ code: "UNAUTHENTICATED" });
    expect(await refusal(server.stranger(), publishing, { roomId: "!a:localhost", published: true })).toEqual({
      code: "UNAUTHENTICATED",
    });
    expect(await snapshots()).toEqual(before);
    expect(await refusal(alice, list, { server: "localhost", search: null })).toEqual({ code: undefined });
    expect(await found("zzz\0")).toEqual([]);
    expect(await found("\ud800")).toEqual([]);
    expect(await found("\ufdfa".repeat(255))).toEqual([]);
  });
});

describe("[DIR-2] numbers", () => {
  test("member counts follow who is joined", async () => {
    const name = "Countinghouse";
    const roomId = await alice.createRoom({ name, joinRule: "PUBLIC", invite: [root.userId] });
    await bob.join(roomId);
    await publish(alice, roomId);
    const count = async () => (await listed(bob, { search: name })).nodes[0]!.memberCount;
    expect(await count()).toBe(2);
    await root.join(roomId);
    expect(await count()).toBe(3);
    await root.setState(roomId, "m.room.member", { membership: "join", reason: "again" }, root.userId).catch(() => "");
    expect(await count()).toBe(3);
    await bob.leave(roomId);
    expect(await count()).toBe(2);
    const rejected = await bob.join(roomId);
    expect(await count()).toBe(3);
    await root.do("mutation ($id: ID!) { rejectEvent(input: { eventId: $id }) { actionId } }", { id: rejected });
    expect(await count()).toBe(2);
    await bob.join(roomId);
    await alice.membership("kick", roomId, bob.userId);
    expect(await count()).toBe(2);
    await alice.membership("ban", roomId, root.userId);
    expect(await count()).toBe(1);
    await alice.membership("unban", roomId, root.userId);
    await alice.membership("invite", roomId, root.userId);
    expect(await count()).toBe(1);
    const { kept, right } = await directory();
    expect(kept).toEqual(right);
  });

  test("those with most members come first; pages and totals are numbered", async () => {
    const rooms: string[] = [];
    for (let n = 0; n < 5; n++) {
      rooms.push(await alice.createRoom({ published: true, name: `Ranked ${n}`, joinRule: "PUBLIC" }));
    }
    await bob.join(rooms[3]!);
    await root.join(rooms[3]!);
    await bob.join(rooms[1]!);
    const order = [3, 1, 0, 2, 4].map((n) => rooms[n]!);
    expect(await found("ranked")).toEqual(order);
    const first = await listed(bob, { search: "ranked", first: 2 });
    expect(first).toMatchObject({ totalCount: 5, page: 1, pageInfo: { hasNextPage: true, hasPreviousPage: false } });
    const second = await listed(bob, { search: "ranked", first: 2, after: first.pageInfo.endCursor });
    expect(second).toMatchObject({ totalCount: 5, page: 2, pageInfo: { hasNextPage: true, hasPreviousPage: true } });
    const third = await listed(bob, { first: 2, after: second.pageInfo.endCursor });
    expect(third).toMatchObject({ totalCount: 5, page: 3, pageInfo: { hasNextPage: false, hasPreviousPage: true } });
    expect([first, second, third].flatMap(({ nodes }) => nodes.map(({ id }) => id))).toEqual(order);
    const fromMiddle = await listed(bob, { first: 3, after: first.edges[0]!.cursor });
    expect(fromMiddle.nodes.map(({ id }) => id)).toEqual(order.slice(1, 4));
    expect(await listed(bob, { search: "ranked", first: 0 })).toMatchObject({ nodes: [], totalCount: 5, page: 1 });
    const past = await listed(bob, { after: third.pageInfo.endCursor });
    expect(past).toMatchObject({ nodes: [], totalCount: 5, pageInfo: { hasNextPage: false } });
    expect(await listed(bob, { search: "no such room anywhere" })).toMatchObject({ nodes: [], totalCount: 0, page: 1 });
  });
});

describe("[DIR-3] a snapshot", () => {
  test("keeps its list and order while rooms are published, renamed, joined and taken back", async () => {
    const rooms: string[] = [];
    for (let n = 0; n < 7; n++) {
      rooms.push(await alice.createRoom({ published: true, name: `Walked ${n}`, joinRule: "PUBLIC" }));
    }
    const seen: Listed["nodes"] = [];
    let page = await listed(bob, { search: "WALKED", first: 2 });
    seen.push(...page.nodes);
    await alice.createRoom({ published: true, name: "Walked too late" });
    await alice.setState(rooms[2]!, "m.room.name", { name: "Renamed" });
    await publish(alice, rooms[3]!, false);
    await root.join(rooms[6]!);
    await root.do("mutation ($id: ID!) { deleteRoom(input: { roomId: $id }) { roomId } }", { id: rooms[5] });
    while (page.pageInfo.hasNextPage) {
      const asked = { search: "walked", first: 2, after: page.pageInfo.endCursor };
      page = await listed(page.page % 2 === 0 ? bob : at(other, bob), asked);
      expect(page.totalCount).toBe(7);
      seen.push(...page.nodes);
    }
    expect(page.page).toBe(4);
    expect(seen.map(({ id, name, memberCount }) => [id, name, memberCount])).toEqual([
      [rooms[0], "Walked 0", 1],
      [rooms[1], "Walked 1", 1],
      [rooms[2], "Renamed", 1],
      [rooms[4], "Walked 4", 1],
      [rooms[6], "Walked 6", 2],
    ]);
    // Who begins anew meanwhile sees what there is now.
    const names = (await listed(bob, { search: "walked" })).nodes.map(({ name }) => name);
    expect(names).toEqual(["Walked 6", "Walked 0", "Walked 1", "Walked 4", "Walked too late"]);
  });

  test("goes on past a page of rooms that are all gone", async () => {
    const rooms: string[] = [];
    for (let n = 0; n < 3; n++) rooms.push(await alice.createRoom({ published: true, name: `Fleeting ${n}` }));
    const first = await listed(bob, { search: "fleeting", first: 1 });
    await publish(alice, rooms[1]!, false);
    const second = await listed(bob, { first: 1, after: first.pageInfo.endCursor });
    expect(second).toMatchObject({ nodes: [], edges: [], totalCount: 3, page: 2, pageInfo: { hasNextPage: true } });
    const third = await listed(bob, { first: 1, after: second.pageInfo.endCursor });
    expect(third.nodes.map(({ id }) => id)).toEqual([rooms[2]]);
  });

  test("belongs to its search, and is over after ten minutes", async () => {
    for (let n = 0; n < 3; n++) await alice.createRoom({ published: true, name: `Dated ${n}` });
    const { pageInfo } = await listed(bob, { search: "Dated", first: 1 });
    const after = pageInfo.endCursor;
    expect(await refusal(bob, list, { search: "other", first: 1, after })).toEqual({
      code: "BAD_TOKEN",
      field: "after",
    });
    expect((await listed(bob, { search: " dATED", first: 1, after })).nodes).toHaveLength(1);
    now += 10 * 60_000 - 1;
    expect((await listed(bob, { search: "Dated", first: 1, after })).nodes).toHaveLength(1);
    now += 1;
    const answer = await bob.ask(list, { search: "Dated", first: 1, after });
    expect(answer.errors![0]).toMatchObject({
      message: expect.stringContaining("begin it anew") as string,
      extensions: { code: "BAD_TOKEN", field: "after" },
    });
    // Whoever searches next takes away what is over.
    await listed(bob, { search: "dated" });
    expect(await snapshots()).toEqual([{ search: "dated", total: 3 }]);
  });

  test("is shared by all who search the same within half a minute, until something is published or renamed", async () => {
    now = 30_000 * Math.ceil(now / 30_000);
    const roomId = await alice.createRoom({ published: true, name: "Communal", joinRule: "PUBLIC" });
    const count = async () => (await snapshots()).filter(({ search }) => search === "communal").length;
    // At two processes, and all at once.
    const clients = [alice, bob, root].flatMap((client) => [client, at(other, client)]);
    const searches = ["communal", "COMMUNAL", " communal"];
    const all = await Promise.all(clients.flatMap((client) => searches.map((search) => listed(client, { search }))));
    expect(all.map(({ totalCount }) => totalCount)).toEqual(all.map(() => 1));
    expect(await count()).toBe(1);
    await bob.join(roomId);
    now += 29_999;
    await listed(bob, { search: "communal" });
    expect(await count()).toBe(1);
    now += 1;
    await listed(bob, { search: "communal" });
    expect(await count()).toBe(2);
    await alice.setState(roomId, "m.room.topic", { topic: "shared" });
    await listed(bob, { search: "communal" });
    expect(await count()).toBe(3);
  });

  test("is made once when all ask at the same time: the others wait for the first", async () => {
    const roomId = await alice.createRoom({ published: true, name: "Stampede" });
    const first = new pg.Client({ connectionString: server.databaseUrl });
    await first.connect();
    await first.query("BEGIN");
    await first.query(
      `SELECT take_published_snapshot('first', 'stampede', $1::bigint, '@first:localhost', to_timestamp($2::bigint / 1000),
         to_timestamp($2::bigint / 1000) + interval '10 minutes')`,
      [Math.floor(now / 30_000), now],
    );
    const others = [bob, at(other, bob)].map((client) => found("stampede", client));
    await until(async () => (await sql(server.databaseUrl, waiting)).length === 2);
    await first.query("COMMIT");
    await first.end();
    expect(await Promise.all(others)).toEqual([[roomId], [roomId]]);
    expect((await snapshots()).filter(({ search }) => search === "stampede")).toHaveLength(1);
  });

  test("hostile searching stores no more than fifty of a user, and none of others goes for it", async () => {
    const { pageInfo } = await listed(alice, { search: "r", first: 1 });
    for (let n = 0; n < 60; n++) await listed(bob, { search: `hostile ${n}` });
    const kept = await sql<{ count: number }>(
      server.databaseUrl,
      "SELECT count(*)::integer AS count FROM published_snapshot WHERE taken_by = $1",
      [bob.userId],
    );
    expect(kept[0]!.count).toBe(50);
    expect((await listed(alice, { search: "r", first: 1, after: pageInfo.endCursor })).nodes).toHaveLength(1);
  });

  test("all together list no more than twenty million rooms", async () => {
    await sql(
      server.databaseUrl,
      `INSERT INTO published_snapshot (id, search, slot, version, taken_by, total, room_ids, expires_at)
       SELECT 'big' || n, 'big' || n, 0, 0, '@big' || n, 1000000, '{}', to_timestamp($1::bigint / 1000) + n * interval '1 second'
       FROM generate_series(1, 30) AS n`,
      [now],
    );
    await listed(root, { search: "and one more" });
    const big = await sql<{ id: string }>(
      server.databaseUrl,
      "SELECT id FROM published_snapshot WHERE id LIKE 'big%' ORDER BY expires_at",
    );
    expect(big.length).toBeLessThanOrEqual(20);
    expect(big.at(-1)).toEqual({ id: "big30" });
    await sql(server.databaseUrl, "DELETE FROM published_snapshot WHERE id LIKE 'big%'");
  });

  test("a page takes one statement, and two with its snapshot, whatever its size", async () => {
    for (let n = 0; n < 12; n++) await alice.createRoom({ published: true, name: `Measured ${n}` });
    const bare = server.database.statements();
    await bob.do("{ server { name } }");
    const usual = server.database.statements() - bare;
    const counted = async (variables: Record<string, unknown>): Promise<[number, Listed]> => {
      const before = server.database.statements();
      const page = await listed(bob, variables);
      return [server.database.statements() - before - usual, page];
    };
    const [withSnapshot, page] = await counted({ search: "measured", first: 2 });
    expect(withSnapshot).toBe(2);
    const [later] = await counted({ first: 10, after: page.pageInfo.endCursor });
    expect(later).toBe(1);
  });
});

describe("[DIR-4] publishing", () => {
  const publishedIn = async (client: Client, roomId: string) =>
    (
      await client.do<{ room: { published: boolean } }>("query ($id: ID!) { room(id: $id) { published } }", {
        id: roomId,
      })
    ).room.published;

  test("is for operators and admins of the server, and hidden rooms aren't there for others", async () => {
    const roomId = await alice.createRoom({ name: "Opaline", joinRule: "PUBLIC" });
    const asked = { roomId, published: true };
    expect(await refusal(bob, publishing, asked)).toEqual({ code: "NOT_FOUND" });
    const nowhere = (await bob.ask(publishing, { ...asked, roomId: "!nowhere:localhost" })).errors![0]!.message;
    expect((await bob.ask(publishing, asked)).errors![0]!.message).toBe(nowhere);
    await bob.join(roomId);
    expect(await refusal(bob, publishing, asked)).toEqual({ code: "FORBIDDEN" });
    expect(await found("opaline")).toEqual([]);
    expect(await alice.do(publishing, asked)).toEqual({
      publishRoom: { room: { id: roomId, published: true }, roomId, published: true },
    });
    await publish(alice, roomId);
    expect(await publishedIn(bob, roomId)).toBe(true);
    expect(await found("opaline")).toEqual([roomId]);
    expect(await refusal(bob, publishing, { roomId, published: false })).toEqual({ code: "FORBIDDEN" });
    // An admin needn't see the room, whose fields stay hidden then.
    const byAdmin = `mutation ($roomId: ID!) { publishRoom(input: { roomId: $roomId, published: false }) { roomId published } }`;
    expect(await root.do(byAdmin, { roomId })).toEqual({ publishRoom: { roomId, published: false } });
    expect(await found("opaline")).toEqual([]);
    expect(await publishedIn(alice, roomId)).toBe(false);
    await publish(alice, roomId, false);
  });

  test("counts who may kick now: after a promotion, a demotion and leaving", async () => {
    const roomId = await alice.createRoom({ name: "Ladder", joinRule: "PUBLIC" });
    await bob.join(roomId);
    const power = (level: number) =>
      alice.do(
        `mutation ($roomId: ID!, $path: [String!]!, $value: Int) {
           patchPowerLevels(input: { roomId: $roomId, path: $path, value: $value }) { actionId } }`,
        { roomId, path: ["users", bob.userId], value: level },
      );
    await power(50);
    await publish(bob, roomId);
    await power(49);
    expect(await refusal(bob, publishing, { roomId, published: false })).toEqual({ code: "FORBIDDEN" });
    await power(50);
    await bob.leave(roomId);
    expect(await refusal(bob, publishing, { roomId, published: false })).toEqual({ code: "FORBIDDEN" });
    expect(await found("ladder")).toEqual([roomId]);
  });

  test("is decided anew when the room changes between judging and doing", async () => {
    const roomId = await alice.createRoom({ name: "Slippery", joinRule: "PUBLIC" });
    await bob.join(roomId);
    const patch = `mutation ($roomId: ID!, $path: [String!]!) {
      patchPowerLevels(input: { roomId: $roomId, path: $path, value: 50 }) { actionId } }`;
    await alice.do(patch, { roomId, path: ["users", bob.userId] });
    const lock = await holdAppendLock(server.databaseUrl);
    // The ban stands in the queue before the publishing that was allowed without it.
    const banned = alice.membership("ban", roomId, bob.userId);
    await until(async () => (await lock.waiting()) === 1);
    const refused = refusal(bob, publishing, { roomId, published: true });
    await until(async () => (await lock.waiting()) === 2);
    await lock.release();
    await banned;
    expect(await refused).toEqual({ code: "FORBIDDEN" });
    expect(await found("slippery")).toEqual([]);
    // Somebody who joins meanwhile only makes it happen a moment later.
    const again = await holdAppendLock(server.databaseUrl);
    const joined = root.join(roomId);
    await until(async () => (await again.waiting()) === 1);
    const published = publish(alice, roomId);
    await until(async () => (await again.waiting()) === 2);
    await again.release();
    await Promise.all([joined, published]);
    expect((await listed(bob, { search: "slippery" })).nodes).toMatchObject([{ id: roomId, memberCount: 2 }]);
  });

  test("a deleted room is found no more, isn't counted, and can't be published", async () => {
    const roomId = await alice.createRoom({ published: true, name: "Doomed", joinRule: "PUBLIC" });
    await bob.join(roomId);
    await root.do("mutation ($id: ID!) { deleteRoom(input: { roomId: $id }) { roomId } }", { id: roomId });
    expect(await listed(bob, { search: "doomed" })).toMatchObject({ nodes: [], totalCount: 0 });
    for (const client of [alice, root]) {
      expect(await refusal(client, publishing, { roomId, published: true })).toEqual({ code: "NOT_FOUND" });
    }
    const { kept, right } = await directory();
    expect(kept).toEqual(right);
  });
});
