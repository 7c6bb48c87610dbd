import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

let server: TestApp;
let other: TestApp;
let alice: Client;
let bob: Client;
let eve: Client;
beforeAll(async () => {
  server = await startApp();
  other = await startApp({ databaseUrl: server.databaseUrl });
  [alice, bob, eve] = [await server.user("alice"), await server.user("bob"), await server.user("eve")];
});
afterAll(async () => {
  for (const client of [alice, bob, eve]) await client.close();
  const disagreeing = await sql(
    server.databaseUrl,
    `SELECT room_id FROM (SELECT room_id, array_agg(alias ORDER BY alias) AS aliases FROM room_alias GROUP BY room_id) AS held
     FULL JOIN (
       SELECT current_state.room_id, ARRAY(SELECT jsonb_array_elements_text(content::jsonb -> 'aliases') ORDER BY 1) AS aliases
       FROM current_state JOIN event USING (position) WHERE current_state.type = 'm.room.aliases'
     ) AS told USING (room_id)
     WHERE coalesce(held.aliases::text[], '{}') <> coalesce(told.aliases, '{}')`,
  );
  expect(disagreeing).toEqual([]);
  expect(server.errors).toEqual([]);
  await other.close();
  await server.close();
});

const create = `mutation ($roomId: ID!, $alias: ID!) { createAlias(input: { roomId: $roomId, alias: $alias }) {
  alias { alias roomId servers } event { id senderId stateKey content } room { aliases title } } }`;
const remove =
  "mutation ($alias: ID!) { deleteAlias(input: { alias: $alias }) { alias event { id } room { aliases } } }";
const resolve = "query ($alias: ID!) { roomAlias(alias: $alias) { roomId servers } }";
const aliases = "query ($id: ID!) { room(id: $id) { aliases } }";

async function aliasesOf(roomId: string): Promise<string[]> {
  return (await alice.do<{ room: { aliases: string[] } }>(aliases, { id: roomId })).room.aliases;
}

/** The user, asking the other process. */
function elsewhere({ token, userId, deviceId }: Client): Client {
  return new Client(other.address, token, userId, deviceId);
}

let made = 0;
/** A room of Alice's that Bob is in, with an alias that nobody has yet. */
async function room(): Promise<{ roomId: string; alias: string }> {
  const roomId = await alice.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
  return { roomId, alias: `#alias${made++}:localhost` };
}

test("[ALI-1] [ALI-2] a member makes an alias, that the room tells and everybody resolves and joins by", async () => {
  const { roomId, alias } = await room();
  const follow = await alice.follow();
  const { createAlias } = await bob.do<{ createAlias: Record<string, never> }>(create, { roomId, alias });
  expect(createAlias).toMatchObject({
    alias: { alias, roomId, servers: ["localhost"] },
    event: { senderId: "localhost", stateKey: "localhost", content: { aliases: [alias] } },
    room: { aliases: [alias], title: alias },
  });
  await follow.sees(createAlias["event"]!["id"]);
  expect(await eve.do(resolve, { alias })).toEqual({ roomAlias: { roomId, servers: ["localhost"] } });
  await eve.do("mutation ($alias: ID!) { joinRoom(input: { target: { alias: $alias } }) { event { id } } }", { alias });
  follow.stop();
});

test("[ALI-2] an alias leads to one room: again is no error, elsewhere it is taken", async () => {
  const { roomId, alias } = await room();
  const first = await bob.do<{ createAlias: { event: { id: string } } }>(create, { roomId, alias });
  const again = await alice.do<{ createAlias: { event: { id: string } } }>(create, { roomId, alias });
  expect(again.createAlias.event.id).toBe(first.createAlias.event.id);
  const another = await room();
  expect(await alice.code(create, { roomId: another.roomId, alias })).toBe("ALIAS_IN_USE");
  expect(await aliasesOf(another.roomId)).toEqual([]);
});

test("[ALI-2] who made it, an operator and an admin delete an alias, and nobody else does", async () => {
  const { roomId, alias } = await room();
  const carol = await server.user("carol");
  await carol.join(roomId);
  const makes = async (name: string): Promise<void> => void (await bob.do(create, { roomId, alias: name }));
  await makes(alias);
  expect(await carol.code(remove, { alias })).toBe("FORBIDDEN");
  // To who may not see the room, a refusal is as if there were none.
  const secret = await alice.createRoom({ alias: "#secret:localhost" });
  expect(await carol.code(remove, { alias: "#secret:localhost" })).toBe("NOT_FOUND");
  expect(await aliasesOf(secret)).toEqual(["#secret:localhost"]);
  await bob.do(remove, { alias });
  expect(await aliasesOf(roomId)).toEqual([]);
  expect(await eve.code(resolve, { alias })).toBe("NOT_FOUND");
  await makes(alias);
  await alice.do(remove, { alias });
  // Its maker has left since.
  await makes(alias);
  await bob.leave(roomId);
  const gone = await bob.do(remove, { alias });
  expect(gone).toMatchObject({ deleteAlias: { alias, event: null, room: { aliases: [alias] } } });
  await bob.join(roomId);
  await makes(alias);
  await sql(server.databaseUrl, "UPDATE account SET admin = true WHERE user_id = $1", [eve.userId]);
  server.app.domain.accounts.forgetRights([eve.userId]);
  await eve.do(remove, { alias });
  expect(await aliasesOf(roomId)).toEqual([]);
  await sql(server.databaseUrl, "UPDATE account SET admin = false WHERE user_id = $1", [eve.userId]);
  server.app.domain.accounts.forgetRights([eve.userId]);
  await carol.close();
});

test.each([
  ["no alias", "fire", "BAD_INPUT"],
  ["a room id", "!fire:localhost", "BAD_INPUT"],
  ["no name", "#:localhost", "BAD_INPUT"],
  ["a NUL character", "#a\0b:localhost", "BAD_INPUT"],
  ["another server's", "#fire:example.org", "BAD_INPUT"],
  ["longer than 255 bytes", `#${"é".repeat(130)}:localhost`, "BAD_INPUT"],
])("[ALI-2] refuses what is %s, and names the field", async (_name, alias, code) => {
  const { roomId } = await room();
  const { errors } = await alice.ask(create, { roomId, alias });
  expect(errors?.[0]).toMatchObject({ extensions: { code, field: "alias" } });
  expect(await aliasesOf(roomId)).toEqual([]);
});

test("[ALI-2] [EV-9] only members make aliases; to others a room that they may not see isn't there", async () => {
  const { roomId, alias } = await room();
  const hidden = await alice.createRoom();
  expect(await eve.code(create, { roomId: hidden, alias })).toBe("NOT_FOUND");
  await eve.join(roomId);
  await eve.leave(roomId);
  expect(await eve.code(create, { roomId, alias })).toBe("FORBIDDEN");
  expect(await eve.code(create, { roomId: "!nowhere:localhost", alias })).toBe("NOT_FOUND");
  expect(await eve.code(resolve, { alias })).toBe("NOT_FOUND");
});

test("[ALI-2] aliases that many make and delete at once over two processes are all told, each once", async () => {
  const { roomId } = await room();
  const names = Array.from({ length: 20 }, (_, n) => `#many${n}:localhost`);
  const at = (n: number, client: Client) => (n % 2 === 0 ? client : elsewhere(client));
  await Promise.all(names.map((alias, n) => at(n, bob).do(create, { roomId, alias })));
  await tells(roomId, names);
  const news = names.map((alias) => alias.replace("many", "news"));
  await Promise.all([
    ...names.map((alias, n) => at(n, alice).do(remove, { alias })),
    ...news.map((alias, n) => at(n + 1, bob).do(create, { roomId, alias })),
  ]);
  await tells(roomId, news);
});

/** Waits until the room tells these aliases, since what another process did is read a moment later. */
async function tells(roomId: string, expected: string[]): Promise<void> {
  const told = async (): Promise<string> => (await aliasesOf(roomId)).sort().join();
  await until(async () => (await told()) === [...expected].sort().join());
}

test("[ALI-1] of two rooms that want an alias at once, one has it", async () => {
  const [one, two] = [await room(), await room()];
  const codes = await Promise.all([
    alice.code(create, { roomId: one.roomId, alias: "#wanted:localhost" }),
    elsewhere(bob).code(create, { roomId: two.roomId, alias: "#wanted:localhost" }),
  ]);
  expect(codes.sort()).toEqual(["ALIAS_IN_USE", null].sort());
});

test("[ALI-2] what tells the aliases that there are is neither set, nor redacted, nor rejected", async () => {
  const { roomId, alias } = await room();
  const { createAlias } = await alice.do<{ createAlias: { event: { id: string } } }>(create, { roomId, alias });
  const eventId = createAlias.event.id;
  const redact = "mutation ($eventId: ID!) { redactEvent(input: { eventId: $eventId }) { event { id } } }";
  expect(await alice.code(redact, { eventId })).toBe("BAD_INPUT");
  const set = "mutation ($input: SetStateInput!) { setState(input: $input) { event { id } } }";
  const input = { roomId, type: "m.room.aliases", stateKey: "localhost", content: { aliases: [] } };
  expect(await alice.code(set, { input })).toBe("BAD_INPUT");
  await alice.do(remove, { alias });
  // What it said is history now, and may be unfit to be read.
  expect(await alice.code(redact, { eventId })).toBe(null);
});

test("[ALI-2] the aliases of a room fit into one event", async () => {
  const { roomId } = await room();
  const long = (n: number): string => `#${String(n).padStart(4, "0")}${"x".repeat(240)}:localhost`;
  const there = Array.from({ length: 235 }, (_, n) => long(n));
  await sql(
    server.databaseUrl,
    "INSERT INTO room_alias (alias, room_id, creator) SELECT alias, $1, $2 FROM unnest($3::text[]) AS alias",
    [roomId, alice.userId, there],
  );
  const codes: (string | null)[] = [];
  while (!codes.includes("TOO_LARGE") && codes.length < 100) {
    codes.push(await alice.code(create, { roomId, alias: long(1000 + codes.length) }));
  }
  expect(new Set(codes)).toEqual(new Set([null, "TOO_LARGE"]));
  expect(await aliasesOf(roomId)).toHaveLength(there.length + codes.length - 1);
});

test("[ALI-2] an alias that its room doesn't tell, since that was redacted before it couldn't be, is told again", async () => {
  // Nobody's stream tells of what is changed behind the scenes.
  const alone = await startApp({ mirrors: false });
  const carol = await alone.user("carol");
  const [roomId, alias] = [await carol.createRoom(), "#untold:localhost"];
  await carol.do(create, { roomId, alias });
  await sql(
    alone.databaseUrl,
    "UPDATE event SET content = '{}', redacted_by_id = '$former' WHERE type = 'm.room.aliases'",
  );
  const { createAlias } = await carol.do<{ createAlias: object }>(create, { roomId, alias });
  expect(createAlias).toMatchObject({ event: { content: { aliases: [alias] } }, room: { aliases: [alias] } });
  await carol.close();
  await alone.close();
});
