import { createHash } from "node:crypto";
import pg from "pg";
import type { Blobs } from "../media/blobs.ts";
import type { Spool } from "../media/spool.ts";
import { hasTable, migrate, migrationsOf } from "../migrate.ts";
import { loadChunk, measureRange } from "./chunks.ts";
import { chunkFile, readManifest, TransferError, type Manifest } from "./manifest.ts";
import { importMedia } from "./mediaFiles.ts";
import { connectForTransfer, exportedTables, type Table } from "./tables.ts";

/** One import of a database at a time; advisory locks are per database. */
const importLock = 7_236_513_042;

export interface ImportOptions {
  databaseUrl: string;
  migrationsDir: string;
  directory: string;
  blobs: Blobs;
  spool: Spool;
  /** Of the database, from now on; null keeps the one that it had, and so every token that clients hold. */
  epoch: string | null;
  /** Told what goes on, a line at a time. */
  note: (text: string) => void;
}

/**
 * Imports a whole store into an empty database. What was begun and interrupted goes on where it was; meanwhile no server starts
 * on the database. The export's migrations are applied first, those of this release that are newer at the end.
 * @throws TransferError for exports of newer releases, damaged ones, and databases that hold something.
 */
export async function importStore(options: ImportOptions): Promise<Manifest> {
  const { databaseUrl, migrationsDir, directory, note } = options;
  const manifest = await readManifest(directory);
  await demandKnownMigrations(manifest, migrationsDir);
  const client = await connectForTransfer(databaseUrl);
  try {
    const { rows } = await client.query<{ taken: boolean }>(`SELECT pg_try_advisory_lock(${importLock}) AS taken`);
    if (!rows[0]!.taken) throw new TransferError("Another import into this database is under way.");
    const id = createHash("sha256").update(JSON.stringify(manifest)).digest("hex");
    if (await hasTable(client, "hearth_import")) await demandSameExport(client, id);
    else await begin(client, options, manifest, id);
    const tables = await tablesOf(client, manifest);
    for (const table of tables) await loadTable(client, table, manifest, options);
    await importMedia(manifest, options, (put) => void (put % 1000 === 0 && note(`${put} files`)));
    await setSequences(client, manifest);
    for (const table of tables) await compare(client, table, manifest);
    note("Every table has the rows that it had, by number and by hash.");
    await client.query("ANALYZE");
    await end(client, options);
  } finally {
    await client.end();
  }
  await migrate(databaseUrl, migrationsDir);
  return manifest;
}

/** Throws for an export of another release that this one doesn't come after. */
async function demandKnownMigrations({ migrations, release }: Manifest, migrationsDir: string): Promise<void> {
  const known = await migrationsOf(migrationsDir);
  migrations.forEach((migration, number) => {
    const { name, checksums } = known[number] ?? { name: null, checksums: [] };
    if (name === migration.name && checksums.includes(migration.checksum)) return;
    throw new TransferError(
      `The export is of release ${release}, whose migration ${migration.name} this one doesn't know: import it with that ` +
        "release or a later one.",
    );
  });
}

async function demandSameExport(client: pg.Client, id: string): Promise<void> {
  const { rows } = await client.query("SELECT FROM hearth_import WHERE what = 'export' AND name = $1", [id]);
  if (rows.length > 0) return;
  throw new TransferError(
    "Another export was begun to be imported into this database: go on with that one, or take an empty database.",
  );
}

/** Makes an empty database ready: the schema as the export has it, and nothing that acts or refuses while rows come. */
async function begin(client: pg.Client, options: ImportOptions, manifest: Manifest, id: string): Promise<void> {
  await demandEmpty(client, manifest);
  await migrate(
    options.databaseUrl,
    options.migrationsDir,
    manifest.migrations.map(({ name }) => name),
  );
  const tables = await exportedTables(client);
  await client.query("BEGIN");
  await client.query("CREATE TABLE hearth_import (what text, name text, PRIMARY KEY (what, name))");
  await client.query("INSERT INTO hearth_import VALUES ('export', $1)", [id]);
  // Migrations leave rows of their own. Whoever a table's foreign keys lead to goes after it.
  for (const { name } of [...tables].reverse()) await client.query(`DELETE FROM ${pg.escapeIdentifier(name)}`);
  await switchTriggers(client, "DISABLE");
  await client.query("COMMIT");
}

/** Throws unless nobody has used the database, and it has no migrations that the export lacks. */
async function demandEmpty(client: pg.Client, manifest: Manifest): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT relname::text AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')",
  );
  const there = new Set(rows.map(({ name }) => name));
  if (there.size > 0 && !there.has("_prisma_migrations")) {
    throw new TransferError("The database holds tables of something else: take one of hearth's own.");
  }
  for (const name of ["server_setting", "account", "event"].filter((each) => there.has(each))) {
    const { rows: found } = await client.query(`SELECT FROM ${name} LIMIT 1`);
    if (found.length > 0) throw new TransferError("The store holds data already: an import takes an empty one.");
  }
  if (!there.has("_prisma_migrations")) return;
  const applied = await client.query<{ name: string }>("SELECT migration_name AS name FROM _prisma_migrations");
  const known = new Set(manifest.migrations.map(({ name }) => name));
  if (applied.rows.every(({ name }) => known.has(name))) return;
  throw new TransferError(
    "The database was brought up to a newer release than the export is of: take an empty one, which the import prepares.",
  );
}

/** The owner of a table may switch its triggers; those behind foreign keys stay, and rows come in an order that they allow. */
async function switchTriggers(client: pg.Client, how: "DISABLE" | "ENABLE"): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT DISTINCT relname::text AS name FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
     WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace ORDER BY 1`,
  );
  for (const { name } of rows) await client.query(`ALTER TABLE ${pg.escapeIdentifier(name)} ${how} TRIGGER USER`);
}

async function tablesOf(client: pg.Client, manifest: Manifest): Promise<Table[]> {
  const tables = await exportedTables(client);
  const names = tables.map(({ name }) => name).sort();
  if (JSON.stringify(names) !== JSON.stringify(Object.keys(manifest.tables).sort())) {
    throw new TransferError("The manifest is damaged: it has other tables than its migrations make.");
  }
  return tables;
}

async function loadTable(
  client: pg.Client,
  { name }: Table,
  manifest: Manifest,
  { directory, note }: ImportOptions,
): Promise<void> {
  const { chunks, columns, rows } = manifest.tables[name]!;
  for (const chunk of chunks) {
    const file = chunkFile(name, chunk);
    await client.query("BEGIN");
    try {
      // Noted and loaded together: what is noted is there, and what isn't, isn't.
      const noted = await client.query("INSERT INTO hearth_import VALUES ('chunk', $1) ON CONFLICT DO NOTHING", [file]);
      if (noted.rowCount === 1) await loadChunk(client, { directory, name, columns }, chunk);
      await client.query("COMMIT");
    } catch (error) {
      await client.query("ROLLBACK").catch(() => {});
      throw error;
    }
  }
  if (rows > 0) note(`${name}: ${rows} rows`);
}

async function setSequences(client: pg.Client, { sequences }: Manifest): Promise<void> {
  for (const [name, { value, called }] of Object.entries(sequences)) {
    await client.query("SELECT setval($1::regclass, $2::bigint, $3)", [pg.escapeIdentifier(name), value, called]);
  }
}

/** Reads the table anew as it would be exported, and compares it with what was. */
async function compare(client: pg.Client, table: Table, manifest: Manifest): Promise<void> {
  const { columns, rows, bytes, sha256 } = manifest.tables[table.name]!;
  const { rows: counted } = await client.query<{ count: string }>(
    `SELECT count(*)::text AS count FROM ${pg.escapeIdentifier(table.name)}`,
  );
  const is = await measureRange(client, { ...table, columns }, { after: null, upTo: null }, null);
  if (counted[0]!.count === String(rows) && is.bytes === bytes && is.sha256 === sha256) return;
  throw new TransferError(
    `${table.name} isn't what was exported: it has ${counted[0]!.count} rows for ${rows}, with another hash. ` +
      "Something else wrote to this database; take an empty one.",
  );
}

async function end(client: pg.Client, { epoch }: ImportOptions): Promise<void> {
  await client.query("BEGIN");
  if (epoch !== null) await client.query("UPDATE server_setting SET value = $1 WHERE name = 'epoch'", [epoch]);
  await switchTriggers(client, "ENABLE");
  await client.query("DROP TABLE hearth_import");
  await client.query("COMMIT");
}
