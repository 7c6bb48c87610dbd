import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createApp, type App } from "../../src/app.ts";
import { readConfig } from "../../src/config.ts";
import { openDatabase, type Database } from "../../src/store/database.ts";
import { randomIds, systemClock } from "../../src/system.ts";
import { freshDatabase } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { everyAction, request } from "../kit/everyAction.ts";

/** Ends a literal, a statement and a line. */
const hostile = `x'; DROP TABLE account; --`;
/** The text of each statement that the server sent. */
const sent = new Set<string>();
let database: Database;
let app: App;
let alice: Client;
let bob: Client;

beforeAll(async () => {
  const readers = 4;
  database = openDatabase(await freshDatabase(), { readers, countStatements: (text) => sent.add(text) !== null });
  const config = { ...readConfig({ HEARTH_PORT: "0" }, null), admins: ["alice"] };
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  app = await createApp({ config, database, clock: systemClock, ids: randomIds, fetch, publicFetch: fetch, log });
  const address = await app.listen();
  alice = await Client.register(address, "alice");
  bob = await Client.register(address, "bob");
});

afterAll(async () => {
  await app.close();
  await database.close();
});

/** The same with what is hostile wherever a text may be anything; the names of things stay as they are. */
function spoilt(value: unknown, key = ""): unknown {
  if (typeof value === "string") return freeTexts.has(key) ? hostile : value;
  if (Array.isArray(value)) return value.map((each) => spoilt(each, key));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, spoilt(each, name)]));
}

const freeTexts = new Set(["body", "reason", "name", "topic", "reaction", "key", "value", "status"]);

test("whatever is written and asked for, no value becomes a part of a statement", async () => {
  const acting = Object.keys(everyAction).map(async (name) => {
    const input = await everyAction[name]!.prepare({ actor: alice, other: bob });
    const { query, variables } = request(name, spoilt(input) as typeof input, { actionId: `${name} ${hostile}` });
    await alice.ask(query, variables);
  });
  await Promise.all(acting);
  const roomId = await alice.createRoom({ name: hostile, topic: hostile, joinRule: "PUBLIC" });
  await alice.setState(roomId, "m.custom", { any: hostile }, `_${hostile}`);
  const filter = {
    ...{ types: [hostile, `${hostile}*`, `!${hostile}`], senders: [hostile, `!${hostile}`], rooms: [hostile] },
    ...{ users: [hostile], fields: [hostile], relationTypes: [hostile, `${hostile}*`] },
  };
  const asked: [string, Record<string, unknown>][] = [
    ...Object.entries(filter).map(([key, value]): [string, Record<string, unknown>] => [
      "query ($roomId: ID!, $filter: FilterInput!) { scrollback(roomId: $roomId, tweak: $filter) { events { nodes { id } } } }",
      { roomId, filter: { [key]: value } },
    ]),
    ["query ($text: String!) { publishedRooms(search: $text) { nodes { id } } }", { text: hostile }],
    ["query ($text: String!) { users(search: $text) { nodes { user { id } } } }", { text: hostile }],
    ["query ($text: ID!) { node(id: $text) { id } }", { text: hostile }],
    ["query ($text: ID!) { roomAlias(alias: $text) { roomId } }", { text: `#${hostile}:localhost` }],
    ["query ($text: ID!) { user(id: $text) { id } }", { text: `@${hostile}:localhost` }],
    [
      "query ($roomId: ID!, $text: String!) { room(id: $roomId) { members(search: $text) { nodes { id } } } }",
      { roomId, text: hostile },
    ],
    [
      `query ($roomId: ID!, $text: String!) {
         room(id: $roomId) { state(types: [$text]) { nodes { id } } stateEvent(type: $text, stateKey: $text) { id } }
       }`,
      { roomId, text: hostile },
    ],
  ];
  for (const [query, variables] of asked) expect([null, "NOT_FOUND"]).toContain(await alice.code(query, variables));
  const address = `${alice.address}/_matrix/client/v3`;
  const bearer = { headers: { authorization: `Bearer ${alice.token}` } };
  const encoded = encodeURIComponent(hostile);
  for (const path of [
    `/rooms/${roomId}/messages?dir=b&from=${encoded}&filter=${encodeURIComponent(JSON.stringify({ types: [hostile] }))}`,
    ...[`/rooms/${roomId}/state/m.custom/${encoded}`, `/profile/${encoded}`, `/directory/room/${encoded}`],
    ...[`/devices/${encoded}`, `/user/${encodeURIComponent(alice.userId)}/account_data/${encoded}`],
  ]) {
    await (await fetch(address + path, bearer)).text();
  }

  expect(sent.size).toBeGreaterThan(50);
  const texts = [...sent];
  expect(texts.filter((text) => /DROP TABLE|localhost|\bhostile\b/.test(text))).toEqual([]);
  // Literals stand in the source, or in what Prisma makes of it.
  const source = sourcesOf("src/store").concat(sourcesOf("src/model")).join("\n");
  const literals = new Set(texts.flatMap((text) => text.match(/'(?:[^']|'')*'/g) ?? []));
  expect(literals.size).toBeGreaterThan(10);
  expect([...literals].filter((literal) => !source.includes(literal.slice(1, -1)))).toEqual([]);
  expect(await bob.code("{ viewer { user { id } } }")).toBeNull();
});

function sourcesOf(directory: string): string[] {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  return files.map((name) => readFileSync(`${directory}/${name}`, "utf8"));
}
