import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startEmbeddedPostgres, type EmbeddedPostgres } from "../../src/store/embedded/embedded.ts";
import { migrate } from "../../src/store/migrate.ts";

const FIRST = "CREATE TABLE room (id int);\nINSERT INTO room VALUES (1);\n";
const SECOND = "ALTER TABLE room ADD COLUMN name text;\n";

let directory: string;
let server: EmbeddedPostgres;
let migrations: string;
let url: string;
let count = 0;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "hearth-test-"));
  mkdirSync(join(directory, "m"));
  // Made by the server, so that it may be entered; its parent may not.
  server = await startEmbeddedPostgres({ dataDir: join(directory, "data"), durable: false });
}, 60_000);

afterAll(async () => {
  const cluster = await query(server.url(), "SELECT current_setting('data_directory') AS path");
  await server.stop();
  rmSync(String(cluster[0]?.["path"]), { recursive: true, force: true });
  rmSync(directory, { recursive: true, force: true });
}, 60_000);

beforeEach(async () => {
  count++;
  await query(server.url(), `CREATE DATABASE migrate_${count}`);
  url = server.url(`migrate_${count}`);
  migrations = join(directory, "m", String(count));
  write("0001_first", FIRST);
  write("0002_second", SECOND);
  writeFileSync(join(migrations, "migration_lock.toml"), 'provider = "postgresql"\n');
}, 60_000);

function write(name: string, sql: string): void {
  mkdirSync(join(migrations, name), { recursive: true });
  writeFileSync(join(migrations, name, "migration.sql"), sql);
}

async function query(address: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: address });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

test("applies what is missing in order, once, and records it", async () => {
  expect(await migrate(url, migrations)).toEqual(["0001_first", "0002_second"]);
  expect(await migrate(url, migrations)).toEqual([]);
  write("0003_third", "INSERT INTO room VALUES (2, 'hall');");
  expect(await migrate(url, migrations)).toEqual(["0003_third"]);
  expect(await query(url, "SELECT id, name FROM room ORDER BY id")).toEqual([
    { id: 1, name: null },
    { id: 2, name: "hall" },
  ]);
  const [row] = await query(url, "SELECT * FROM _prisma_migrations ORDER BY migration_name LIMIT 1");
  expect(row).toMatchObject({
    checksum: createHash("sha256").update(FIRST).digest("hex"),
    migration_name: "0001_first",
    rolled_back_at: null,
    applied_steps_count: 1,
    finished_at: expect.any(Date) as Date,
  });
});

test("two callers at once apply each migration once between them", async () => {
  const results = await Promise.all([migrate(url, migrations), migrate(url, migrations)]);
  expect(results.flat()).toEqual(["0001_first", "0002_second"]);
});

test("a failing migration leaves nothing behind, and can be mended", async () => {
  write("0002_second", "CREATE TABLE half (id int); SELECT nonsense;");
  await expect(migrate(url, migrations)).rejects.toThrow(/0002_second failed and was rolled back.*nonsense/);
  expect(
    await query(url, "SELECT to_regclass('half') AS half, count(*)::int AS recorded FROM _prisma_migrations"),
  ).toEqual([{ half: null, recorded: 1 }]);
  write("0002_second", SECOND);
  expect(await migrate(url, migrations)).toEqual(["0002_second"]);
});

test("refuses a migration that was changed after it was applied, but not its line endings", async () => {
  await migrate(url, migrations);
  write("0001_first", FIRST.replaceAll("\n", "\r\n"));
  expect(await migrate(url, migrations)).toEqual([]);
  write("0001_first", `${FIRST}-- afterthought`);
  await expect(migrate(url, migrations)).rejects.toThrow("0001_first was changed after it was applied");
});

test("refuses a database that a newer release has migrated", async () => {
  write("0003_third", "SELECT 1");
  await migrate(url, migrations);
  rmSync(join(migrations, "0003_third"), { recursive: true });
  await expect(migrate(url, migrations)).rejects.toThrow("0003_third, which this release does not know");
});

test("refuses a migration Prisma left unfinished, and repeats one it marked rolled back", async () => {
  await migrate(url, migrations);
  await query(url, "UPDATE _prisma_migrations SET finished_at = NULL WHERE migration_name = '0002_second'");
  await expect(migrate(url, migrations)).rejects.toThrow("0002_second was begun");
  await query(url, "ALTER TABLE room DROP COLUMN name");
  await query(url, "UPDATE _prisma_migrations SET rolled_back_at = now() WHERE migration_name = '0002_second'");
  expect(await migrate(url, migrations)).toEqual(["0002_second"]);
});
