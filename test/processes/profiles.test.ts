import { afterAll, beforeAll, expect, test } from "vitest";
import { freshDatabase } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

const roomCount = 300;
let databaseUrl: string;
let killed: ServerProcess;
let other: ServerProcess;

beforeAll(async () => {
  databaseUrl = await freshDatabase();
  [killed, other] = await Promise.all([
    startServer({ DATABASE_URL: databaseUrl }),
    startServer({ DATABASE_URL: databaseUrl }),
  ]);
});

afterAll(async () => {
  await killed?.kill();
  await other?.stop();
});

async function reached(name: string): Promise<number> {
  const rows = await sql<{ count: number }>(
    databaseUrl,
    `SELECT count(*)::integer AS count FROM event WHERE type = 'm.room.member.profile' AND content LIKE '%' || $1 || '%'`,
    [name],
  );
  return rows[0]!.count;
}

test("[PRO-3] [PRO-5] a change whose server is killed half way is brought to all rooms by another, once to each", async () => {
  const alice = await Client.register(killed.address, "alice");
  for (let made = 0; made < roomCount; made += 50) {
    await Promise.all(Array.from({ length: 50 }, () => alice.createRoom()));
  }
  await alice.setProfile("displayname", "Before");
  await until(async () => (await reached("Before")) === roomCount, undefined, 20_000);
  await alice.setProfile("displayname", "After");
  await until(async () => (await reached("After")) > 0);
  await killed.kill();
  const left = roomCount - (await reached("After"));
  await until(async () => (await reached("After")) === roomCount, undefined, 30_000);
  // Nothing tells whether it was killed in time but this.
  expect(left).toBeGreaterThan(0);
}, 60_000);
