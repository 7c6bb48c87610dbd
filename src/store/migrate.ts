import { createHash, randomUUID } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { MigrationError } from "./migrationError.ts";

/** The number Prisma's own tool locks, so that it and we never migrate at once. */
const MIGRATION_LOCK = 72_707_369;

/** As Prisma's tool creates it, column for column: it reads and writes the same table. */
const CREATE_TABLE = `
CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id                  VARCHAR(36) PRIMARY KEY NOT NULL,
  checksum            VARCHAR(64) NOT NULL,
  finished_at         TIMESTAMPTZ,
  migration_name      VARCHAR(255) NOT NULL,
  logs                TEXT,
  rolled_back_at      TIMESTAMPTZ,
  started_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
  applied_steps_count INTEGER NOT NULL DEFAULT 0
)`;

interface Migration {
  name: string;
  sql: string;
  checksum: string;
}

interface Recorded {
  migration_name: string;
  checksum: string;
  finished: boolean;
}

/**
 * Brings the database's schema up to date: applies each
 * `<migrationsDir>/<name>/migration.sql` not yet recorded, in order of name,
 * each in a transaction of its own, and records it as `prisma migrate` does.
 * Callers at the same time wait for one another. A migration may not hold
 * statements PostgreSQL forbids in a transaction (CREATE INDEX CONCURRENTLY).
 * @param only the names of those that may be applied; all unless given.
 * @returns the names applied, in order; empty when there was nothing to do.
 * @throws MigrationError when the database and this release disagree about what has been
 *   applied, or a migration fails (it is rolled back, earlier ones stay).
 */
export async function migrate(databaseUrl: string, migrationsDir: string, only?: readonly string[]): Promise<string[]> {
  const known = await readMigrations(migrationsDir);
  return connected(databaseUrl, async (client) => {
    // Held by the session, so it goes with the connection however this ends.
    await client.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK})`);
    await demandNoImport(client);
    // Asked first, for IF NOT EXISTS would send a notice on every start.
    if (!(await hasTable(client))) await client.query(CREATE_TABLE);
    const all = comparePending(known, await readRecorded(client));
    const pending = only === undefined ? all : all.filter(({ name }) => only.includes(name));
    for (const migration of pending) await apply(client, migration);
    return pending.map((migration) => migration.name);
  });
}

/**
 * What was applied to a database and what is still to be, by name; changes nothing.
 * @throws MigrationError when the database and this release disagree about what has been applied.
 */
export async function migrationStatus(
  databaseUrl: string,
  migrationsDir: string,
): Promise<{ applied: string[]; pending: string[] }> {
  const known = await readMigrations(migrationsDir);
  return connected(databaseUrl, async (client) => {
    await demandNoImport(client);
    const recorded = (await hasTable(client)) ? await readRecorded(client) : [];
    const pending = comparePending(known, recorded).map(({ name }) => name);
    return { applied: recorded.map((row) => row.migration_name), pending };
  });
}

async function connected<T>(databaseUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl });
  // A connection lost between queries rejects the next one; unheard, the event would end the process.
  client.on("error", () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Whether the database has a table of this name; by default the one of the migrations that were applied. */
export async function hasTable(client: pg.Client, name = "_prisma_migrations"): Promise<boolean> {
  const { rows } = await client.query<{ exists: boolean }>("SELECT to_regclass($1) IS NOT NULL AS exists", [name]);
  return rows[0]!.exists;
}

/** Half an import is no store: nothing starts on it. */
async function demandNoImport(client: pg.Client): Promise<void> {
  if (!(await hasTable(client, "hearth_import"))) return;
  throw new MigrationError(
    "An import into this database was begun and isn't finished: run the same hearth import again, which goes on where it was.",
  );
}

function checksum(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

async function readMigrations(directory: string): Promise<Migration[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  // By code unit, as Prisma sorts them, whatever the locale.
  const names = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(directory, name, "migration.sql"), "utf8");
      return { name, sql, checksum: checksum(sql) };
    }),
  );
}

/** The migrations of this release, in order, each with the checksums that a database may have of it. */
export async function migrationsOf(migrationsDir: string): Promise<{ name: string; checksums: string[] }[]> {
  const known = await readMigrations(migrationsDir);
  return known.map((migration) => ({ name: migration.name, checksums: checksumsOf(migration) }));
}

/** A checkout with Windows line endings holds the same migration. */
function checksumsOf(migration: Migration): string[] {
  return [migration.checksum, checksum(migration.sql.replaceAll("\r\n", "\n"))];
}

/** What stands in the database, leaving out what was rolled back and so counts as never applied. */
async function readRecorded(client: pg.Client): Promise<Recorded[]> {
  const { rows } = await client.query<Recorded>(
    `SELECT migration_name, checksum, finished_at IS NOT NULL AS finished
     FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY migration_name`,
  );
  return rows;
}

function comparePending(known: Migration[], recorded: Recorded[]): Migration[] {
  const byName = new Map(known.map((migration) => [migration.name, migration]));
  for (const row of recorded) {
    const name = row.migration_name;
    const migration = byName.get(name);
    if (!migration) {
      throw new MigrationError(
        `The database has migration ${name}, which this release does not know: it was last used by a newer release. ` +
          "Run that release or a later one, or restore a backup made before the upgrade.",
      );
    }
    if (!row.finished) {
      throw new MigrationError(
        `Migration ${name} was begun in this database and not finished. Restore a backup made before it, ` +
          `or put the schema right by hand and tell Prisma with "prisma migrate resolve".`,
      );
    }
    if (!checksumsOf(migration).includes(row.checksum)) {
      throw new MigrationError(
        `Migration ${name} was changed after it was applied to this database. ` +
          "Put migration.sql back as it was released, and make further changes in a new migration.",
      );
    }
  }
  const applied = new Set(recorded.map((row) => row.migration_name));
  return known.filter((migration) => !applied.has(migration.name));
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  const startedAt = new Date();
  await client.query("BEGIN");
  try {
    // Without parameters node-postgres uses the simple protocol, which takes many statements at once.
    await client.query(migration.sql);
    await client.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, logs, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, '', $4, clock_timestamp(), 1)`,
      [randomUUID(), migration.checksum, migration.name, startedAt],
    );
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    const message = error instanceof Error ? error.message : String(error);
    throw new MigrationError(`Migration ${migration.name} failed and was rolled back: ${message}`, { cause: error });
  }
}
