import pg from "pg";
import { afterEach, expect, test } from "vitest";
import { streamHead } from "../../src/store/append.ts";
import { openDatabase, type Database } from "../../src/store/database.ts";
import { eventsBetween } from "../../src/store/events.ts";
import { freshDatabase } from "../kit/app.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";

const roomId = "!room:localhost";

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of cleanUp.splice(0)) await close();
});

/** A connection that appends as a server process does. */
async function writer(databaseUrl: string): Promise<(eventId: string, newRoom?: boolean) => Promise<number>> {
  const client = await connect(databaseUrl);
  return (eventId, newRoom = false) => append(client, eventId, newRoom);
}

async function connect(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  cleanUp.push(() => client.end());
  return client;
}

/** Appends a message; gives its position. */
async function append(client: pg.Client, eventId: string, newRoom = false): Promise<number> {
  const room = newRoom ? { next: 1, creator: "@a:localhost", created_at: 1 } : { version: 1 };
  const event = { n: 0, unit: 0, id: eventId, room: roomId, type: "m.room.message", sender: "@a:localhost" };
  const batch = {
    process: "test",
    units: [{ n: 0, room: roomId, ...room }],
    events: [{ ...event, sent_at: 1, content: "{}" }],
    relations: [],
    messages: true,
    rooms: newRoom,
  };
  const { rows } = await client.query<{ result: { to: number } }>("SELECT append_batch($1) AS result", [batch]);
  return rows[0]!.result.to;
}

/** What the head cursor of a process does, step by step. */
class PollingReader {
  readonly seen: string[] = [];
  #position = 0;
  readonly #database: Database;

  constructor(databaseUrl: string) {
    this.#database = openDatabase(databaseUrl);
    cleanUp.push(() => this.#database.close());
  }

  async poll(): Promise<void> {
    const head = await streamHead(this.#database.reader);
    const events = await eventsBetween(this.#database.reader, this.#position, head, 1000);
    this.seen.push(...events.map((event) => event.eventId));
    this.#position = head;
  }
}

/** How many sessions wait for the append lock. */
async function waitingForLock(databaseUrl: string): Promise<number> {
  const rows = await sql(
    databaseUrl,
    `SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
     WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()`,
  );
  return rows.length;
}

async function storedIds(databaseUrl: string): Promise<string[]> {
  const rows = await sql<{ event_id: string }>(databaseUrl, "SELECT event_id FROM event ORDER BY position");
  return rows.map((row) => row.event_id);
}

/** Two writers and a reader: the one that drew its position first commits last. */
async function overtake(databaseUrl: string, locked: boolean): Promise<string[]> {
  const slow = await connect(databaseUrl);
  const quick = await writer(databaseUrl);
  const reader = new PollingReader(databaseUrl);
  await append(slow, "$before", true);

  await slow.query("BEGIN");
  const first = await append(slow, "$slow");
  const overtaking = quick("$quick");
  // Without the lock the quick one commits behind the back of the slow; with it both others stand in line.
  if (!locked) expect(await overtaking).toBe(first + 1);
  else await until(async () => (await waitingForLock(databaseUrl)) === 1);
  const polling = reader.poll();
  if (!locked) await polling;
  else await until(async () => (await waitingForLock(databaseUrl)) === 2);
  await slow.query("COMMIT");
  await Promise.all([overtaking, polling]);

  await reader.poll();
  return reader.seen;
}

test("[STR-3] without the append lock a reader misses events; with it none", async () => {
  const broken = await freshDatabase();
  await sql(broken, "CREATE OR REPLACE FUNCTION append_lock() RETURNS void LANGUAGE sql AS $$ SELECT $$");
  expect(await overtake(broken, false)).toEqual(["$before", "$quick"]);
  expect(await storedIds(broken)).toEqual(["$before", "$slow", "$quick"]);

  const sound = await freshDatabase();
  expect(await overtake(sound, true)).toEqual(["$before", "$slow", "$quick"]);
  expect(await storedIds(sound)).toEqual(["$before", "$slow", "$quick"]);
});

test("[STR-3] under the lock, readers that poll while four connections append see each event once and in order", async () => {
  const databaseUrl = await freshDatabase();
  const appends = await Promise.all([0, 1, 2, 3].map(() => writer(databaseUrl)));
  await appends[0]!("$first", true);
  const readers = [new PollingReader(databaseUrl), new PollingReader(databaseUrl)];
  let done = false;
  const polling = readers.map(async (reader) => {
    while (!done) await reader.poll();
    await reader.poll();
  });
  await Promise.all(
    appends.map(async (appendOne, number) => {
      for (let each = 0; each < 200; each++) await appendOne(`$${number}-${each}`);
    }),
  );
  done = true;
  await Promise.all(polling);
  const stored = await storedIds(databaseUrl);
  expect(stored).toHaveLength(801);
  for (const reader of readers) expect(reader.seen).toEqual(stored);
});
