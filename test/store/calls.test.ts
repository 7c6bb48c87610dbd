import { expect, test } from "vitest";
import * as calls from "../../src/store/calls.ts";
import { openDatabase, type Connection } from "../../src/store/database.ts";
import { freshDatabase } from "../kit/app.ts";
import { sql } from "../kit/database.ts";
import { pagesOf, watchPlans } from "../kit/plans.ts";

const [small, large] = [1000, 20_000];
const rooms = ["!room7:localhost", "!room11:localhost"];

/** What is asked of calls while signals and leaves come; what is asked once per start may cost what there is. */
const reads: Record<string, (connection: Connection) => Promise<unknown>> = {
  "by id": (connection) => calls.callsById(connection, ["call_7", "call_500"]),
  "live ones of rooms": (connection) => calls.liveCallsIn(connection, rooms),
  "live ones of a user": (connection) => calls.liveCallsOf(connection, "@user7:localhost"),
  "ones of a user that were live": (connection) => calls.liveCallsOf(connection, "@user7:localhost", 1_000_000 - 10),
  "lapsed ones": (connection) => calls.lapsedCalls(connection, 1000, 100),
  "the next lapse": (connection) => calls.nextLapse(connection),
  "deserted ones of rooms": (connection) => calls.desertedCalls(connection, rooms),
  "who is in a room": (connection) => calls.partiesOfRoom(connection, rooms[0]!, 3),
};

/** Calls in as many rooms: every fifth goes on, the others have ended one after the other, long ago. */
async function addCalls(url: string, first: number, end: number): Promise<void> {
  await sql(
    url,
    `INSERT INTO call (call_id, room_id, caller, caller_device, callee, state, created_at, expires_at, ended_position)
     SELECT 'call_' || n, '!room' || n || ':localhost', '@user' || n || ':localhost', 'phone', '@other' || n || ':localhost',
       CASE WHEN n % 5 = 2 THEN 'RINGING' ELSE 'ENDED' END, now(),
       CASE WHEN n % 5 = 2 THEN now() + n * interval '1 minute' END, CASE WHEN n % 5 <> 2 THEN n END
     FROM generate_series($1::integer, $2::integer - 1) AS n`,
    [first, end],
  );
  await sql(
    url,
    `INSERT INTO member (room_id, user_id, membership, position, event_id)
     SELECT '!room' || n || ':localhost', who || n || ':localhost', 'join', n, '$' || n
     FROM generate_series($1::integer, $2::integer - 1) AS n, unnest(ARRAY['@user', '@other']) AS who`,
    [first, end],
  );
}

async function costs(url: string): Promise<Record<string, number>> {
  const database = openDatabase(url, { readers: 1 });
  const pages: Record<string, number> = {};
  for (const [name, read] of Object.entries(reads)) {
    const { connection, plans } = watchPlans(database.reader);
    await read(connection);
    pages[name] = pagesOf(plans);
  }
  await database.close();
  return pages;
}

test("[VOIP-1] what is asked of calls costs the same, however many there are and were", async () => {
  const url = await freshDatabase();
  await addCalls(url, 0, small);
  await sql(url, "VACUUM ANALYZE");
  const before = await costs(url);
  await addCalls(url, small, large);
  await sql(url, "VACUUM ANALYZE");
  const after = await costs(url);
  const dearer = Object.keys(reads).filter((name) => after[name]! > before[name]! + 12);
  expect(dearer.map((name) => [name, before[name], after[name]])).toEqual([]);
});
