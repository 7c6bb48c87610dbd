import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { addAccounts } from "../kit/accounts.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import type { Answer, Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import type { Follow } from "../kit/follow.ts";
import { countRows } from "../kit/rows.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let ann: Client;
let bob: Client;
let carol: Client;
beforeAll(async () => {
  server = await startApp();
  [ann, bob, carol] = [await server.user("ann"), await server.user("bob"), await server.user("carol")];
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await Promise.all([ann, bob, carol].map((client) => client.close()));
  await server.close();
});

const create = `mutation ($input: CreateRoomInput!) { createRoom(input: $input) {
  actionId room { id } event { id roomId }
  state { nodes { id type stateKey content } pageInfo { hasNextPage } }
  timeline { nodes { id type senderId ... on StateEvent { stateKey } } pageInfo { hasPreviousPage } }
} }`;

interface Created {
  room: { id: string };
  event: { id: string; roomId: string };
  state: { nodes: { id: string; type: string; stateKey: string; content: object }[]; pageInfo: object };
  timeline: { nodes: { id: string; type: string; stateKey: string }[]; pageInfo: { hasPreviousPage: boolean } };
}

async function created(input: object, client = ann): Promise<Created> {
  return (await client.do<{ createRoom: Created }>(create, { input })).createRoom;
}

let made = 0;
/** Every input at once; the alias is another one each time. */
function everything(
  more: { invite?: unknown[]; state?: unknown[] } & Record<string, unknown> = {},
): Record<string, unknown> {
  const { invite = [], state = [], ...others } = more;
  return {
    ...{ name: "Fire", topic: "Warm", joinRule: "KNOCK", historyVisibility: "INVITED", published: true },
    ...{ alias: `#everything${made++}:localhost`, actionId: `make ${made}` },
    invite: [bob.userId, carol.userId, ...invite],
    state: [
      { type: "org.example.colour", content: { hex: "#f40" } },
      { type: "state:org.example.colour", stateKey: "_north/wall", content: { hex: "#04f" } },
      { type: "org.example.badge", stateKey: ann.userId, content: { badge: "host" } },
      { type: "org.example.badge", stateKey: `${ann.userId}/second`, content: { badge: "cook" } },
      { type: "_org.example.table", content: { seats: 4 } },
      { type: "_@org.example.seat", stateKey: ann.userId, content: { seat: 1 } },
      ...state,
    ],
    ...others,
  };
}

describe("everything at once", () => {
  test("[CRE-1, JOI-2] a room comes with all that was asked for, in one go of the stream, and answers through filters", async () => {
    const follow = await ann.follow();
    const filter = await ann.filter({ types: ["m.room.member"] });
    const stateFilter = await ann.filter({ types: ["org.example.*", "_*"] });
    const input = everything();
    const answer = await created({ ...input, response: { filter, stateFilter, limit: 2 } });
    expect(answer.state.nodes.map(({ type, stateKey, content }) => [type, stateKey, content]).sort()).toEqual(
      [
        ["_@org.example.seat", ann.userId, { seat: 1 }],
        ["_org.example.table", "_", { seats: 4 }],
        ["org.example.badge", ann.userId, { badge: "host" }],
        ["org.example.badge", `${ann.userId}/second`, { badge: "cook" }],
        ["org.example.colour", "_", { hex: "#f40" }],
        ["org.example.colour", "_north/wall", { hex: "#04f" }],
      ].sort(),
    );
    expect(answer.timeline).toMatchObject({
      nodes: [
        { type: "m.room.member", stateKey: bob.userId },
        { type: "m.room.member", stateKey: carol.userId },
      ],
      pageInfo: { hasPreviousPage: true },
    });
    const roomId = answer.room.id;
    const whole = await ann.timeline(roomId);
    expect(whole[0]).toBe(answer.event.id);
    await follow.sees(whole.at(-1)!);
    // The creator is in the room from the second event on.
    const state = follow.events.filter((event) => event.kind === "STATE");
    expect(state.map((event) => event.id)).toEqual(whole.slice(1));
    // The alias is the server's doing.
    const own = state.filter((event) => event.senderId === ann.userId);
    expect(new Set(own.map((event) => event.actionId))).toEqual(new Set([input["actionId"]]));
    const positions = await sql<{ position: number }>(
      server.databaseUrl,
      "SELECT position::integer FROM event WHERE room_id = $1 ORDER BY position",
      [roomId],
    );
    expect(positions.at(-1)!.position - positions[0]!.position).toBe(whole.length - 1);
    expect(await created({ ...input, response: {} })).toMatchObject({ room: { id: roomId }, event: answer.event });
    follow.stop();
  });

  test("[CRE-1] each of 300 invitees gets the invite on their stream, with the room's name", async () => {
    const invitees = await addAccounts(server, 300);
    const follows: Follow[] = [];
    // Some at a time, since each is waited for with patience for one.
    for (let n = 0; n < invitees.length; n += 20) {
      follows.push(...(await Promise.all(invitees.slice(n, n + 20).map((invitee) => invitee.follow()))));
    }
    const input = everything({ invite: invitees.map(({ userId }) => userId), joinRule: "INVITE" });
    const { room } = await created(input);
    for (const [index, follow] of follows.entries()) {
      await follow.until(({ chunks }) => chunks.some(({ invites }) => invites.length > 0));
      const invites = follow.chunks.flatMap((chunk) => chunk.invites);
      expect(invites.map((invite) => invite.room)).toEqual([{ id: room.id, name: "Fire" }]);
      expect(follow.events.map((event) => event.stateKey)).toEqual([invitees[index]!.userId]);
    }
    const { invited } = (
      await ann.do<{ room: { invited: number } }>(
        "query ($id: ID!) { room(id: $id) { invited: memberCount(membership: INVITE) } }",
        { id: room.id },
      )
    ).room;
    expect(invited).toBe(302);
    await Promise.all(invitees.map((invitee) => invitee.close()));
  });
});

describe("nothing at all", () => {
  const many = (count: number, of: (index: number) => unknown): unknown[] =>
    Array.from({ length: count }, (_, n) => of(n));
  const colour = (more: object): { state: object[] } => ({ state: [{ type: "org.example.x", content: {}, ...more }] });
  const cases: [what: string, more: () => Record<string, unknown>, code: string, field: string][] = [
    ["an unknown invitee", () => ({ invite: ["@nobody:localhost"] }), "NOT_FOUND", "invite"],
    ["an invitee of no form", () => ({ invite: ["bob"] }), "BAD_INPUT", "invite.2"],
    [
      "too many invitees",
      () => ({ invite: many(1000, (n) => `@many${n}:localhost`) }),
      ...(["BAD_INPUT", "invite"] as const),
    ],
    ["a taken alias", () => ({ alias: "#taken:localhost" }), "ALIAS_IN_USE", "alias"],
    ["another server's alias", () => ({ alias: "#fire:example.org" }), "BAD_INPUT", "alias"],
    ["an alias of no form", () => ({ alias: "fire" }), "BAD_INPUT", "alias"],
    ["too long a name", () => ({ name: "x".repeat(1001) }), "BAD_INPUT", "name"],
    ["too long a topic", () => ({ topic: "x".repeat(5001) }), "BAD_INPUT", "topic"],
    ["a state key of no form", () => colour({ stateKey: "odd" }), "BAD_STATE_KEY", "state.6.stateKey"],
    ["an empty state key", () => colour({ stateKey: "" }), "BAD_STATE_KEY", "state.6.stateKey"],
    ["half a user id as state key", () => colour({ stateKey: "@ann" }), "BAD_STATE_KEY", "state.6.stateKey"],
    ["a server's state key", () => colour({ stateKey: "localhost" }), "FORBIDDEN", "state.6"],
    ["a _@ type without a user", () => colour({ type: "_@org.example.y" }), "BAD_STATE_KEY", "state.6.stateKey"],
    ["too large a content", () => colour({ content: { a: "x".repeat(66_000) } }), "TOO_LARGE", "state.6.content"],
    ["a fraction in a content", () => colour({ content: { a: 0.5 } }), "BAD_INPUT", "state.6.content.a"],
    ["a message's type", () => colour({ type: "message:org.example.x" }), "BAD_INPUT", "state.6.type"],
    ["a membership", () => colour({ type: "m.room.member", stateKey: "@bob:localhost" }), "BAD_INPUT", "state.6.type"],
    ["a second creation", () => colour({ type: "m.room.create" }), "BAD_INPUT", "state.6.type"],
    ["aliases as state", () => colour({ type: "m.room.aliases" }), "BAD_INPUT", "state.6.type"],
    ["the server's own type", () => colour({ type: "m.room.marker.read" }), "BAD_INPUT", "state.6.type"],
    [
      "a well-known type's bad content",
      () => colour({ type: "m.room.join_rules", content: { join_rule: "maybe" } }),
      ...(["BAD_INPUT", "state.6.content.join_rule"] as const),
    ],
    [
      "levels that take away what the creator needs next",
      () => ({
        state: [
          { type: "m.room.power_levels", content: { users: { [ann.userId]: 40 }, state_default: 40 } },
          { type: "m.room.power_levels", content: { users: { [ann.userId]: 100 } } },
        ],
      }),
      ...(["FORBIDDEN", "state.7.users.@ann:localhost"] as const),
    ],
    [
      "too many events of state",
      () => ({ state: many(95, (n) => ({ type: `x${n}`, content: {} })) }),
      "BAD_INPUT",
      "state",
    ],
    ["a bad filter of the response", () => ({ response: { filter: "f1.x" } }), "BAD_TOKEN", ""],
    ["a bad limit of the response", () => ({ response: { limit: 501 } }), "BAD_INPUT", "limit"],
  ];

  beforeAll(async () => {
    await ann.createRoom({ alias: "#taken:localhost" });
  });

  test.each(cases)("[CRE-1] is stored for %s, and the same action id is free", async (_what, more, code, field) => {
    const input = everything(more());
    const before = await countRows(server.databaseUrl);
    const answer = await ann.ask(create, { input });
    expect(answer.errors?.[0]?.extensions).toMatchObject({ code });
    expect(answer.errors?.[0]?.extensions?.["field"] ?? "").toContain(field);
    expect(await countRows(server.databaseUrl)).toEqual(before);
    await created(everything({ actionId: input["actionId"] }));
  });

  test("[CRE-1] is stored with levels that let the creator invite nobody", async () => {
    const levels = { type: "m.room.power_levels", content: { users: { [ann.userId]: 100 }, invite: 101 } };
    const lowered = { ...levels, content: { users: { [ann.userId]: 60 }, invite: 61 } };
    const before = await countRows(server.databaseUrl);
    for (const state of [levels, lowered]) {
      expect(await ann.code(create, { input: everything({ state: [state] }) })).toBe("FORBIDDEN");
    }
    expect(await countRows(server.databaseUrl)).toEqual(before);
  });
});

describe("cut off in between", () => {
  let control: pg.Client;
  beforeEach(async () => {
    control = new pg.Client({ connectionString: server.databaseUrl });
    await control.connect();
    return () => control.end();
  });

  /** Takes an alias without committing: who wants it as well waits with the room made and its events not. */
  async function hold(alias: string): Promise<void> {
    await control.query("BEGIN");
    await control.query("INSERT INTO room_alias (alias, room_id, creator) VALUES ($1, '!other:localhost', 'x')", [
      alias,
    ]);
  }

  /** The database's process that waits for the alias, if one does. */
  async function waiting(): Promise<number | null> {
    const [row] = await sql<{ pid: number }>(
      server.databaseUrl,
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
         AND wait_event = 'transactionid' AND query LIKE '%append_batch%'`,
    );
    return row?.pid ?? null;
  }

  async function inBetween(): Promise<number> {
    let pid: number | null = null;
    await until(async () => (pid = await waiting()) !== null);
    return pid!;
  }

  test("[CRE-1] the database's process dies half way: nothing is there, and the next try makes the room whole", async () => {
    const before = await countRows(server.databaseUrl);
    const input = everything({ alias: "#half:localhost" });
    await hold("#half:localhost");
    const creating = created({ ...input, response: {} });
    const first = await inBetween();
    await sql(server.databaseUrl, "SELECT pg_terminate_backend($1)", [first]);
    await until(async () => (await inBetween()) !== first);
    expect(await countRows(server.databaseUrl)).toEqual(before);
    await control.query("ROLLBACK");
    const { room, timeline } = await creating;
    const after = await countRows(server.databaseUrl);
    expect([after["room"], after["room_alias"], after["member"], after["action"]]).toEqual([
      before["room"]! + 1,
      before["room_alias"]! + 1,
      before["member"]! + 3,
      before["action"]! + 1,
    ]);
    expect(after["event"]).toBe(before["event"]! + timeline.nodes.length);
    expect((await created({ ...input })).room).toEqual(room);
  });

  test("[CRE-1] an alias that somebody else takes at the same moment leaves nothing", async () => {
    await hold("#raced:localhost");
    const creating: Promise<Answer> = ann.ask(create, { input: everything({ alias: "#raced:localhost" }) });
    await inBetween();
    const before = await countRows(server.databaseUrl);
    await control.query("COMMIT");
    expect((await creating).errors?.[0]?.extensions).toMatchObject({ code: "ALIAS_IN_USE", field: "alias" });
    expect(await countRows(server.databaseUrl)).toEqual({ ...before, room_alias: before["room_alias"]! + 1 });
    await sql(server.databaseUrl, "DELETE FROM room_alias WHERE alias = '#raced:localhost'");
  });
});
