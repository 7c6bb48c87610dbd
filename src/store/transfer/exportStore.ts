import { createHash, type Hash } from "node:crypto";
import { mkdir, readdir, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import type { Blobs } from "../media/blobs.ts";
import { isMissing } from "../media/disk.ts";
import { checkChunk, isWhole, measureRange, writeRange } from "./chunks.ts";
import { writeText } from "./files.ts";
import {
  chunkFile,
  findManifest,
  manifestName,
  mediaListFile,
  readManifest,
  TransferError,
  type Chunk,
  type ExportedTable,
  type Manifest,
} from "./manifest.ts";
import { checkMedia, exportMedia, notePlaces, removeOtherMedia } from "./mediaFiles.ts";
import { isInterrupted, openProgress, type Progress } from "./progress.ts";
import { chunkEnd, connectForTransfer, exportedTables, sequences, type Range, type Table } from "./tables.ts";

/** One export to a directory at a time; advisory locks are per database, and this is the class of their keys. */
const exportLock = 723_651_304;

/** What a chunk has at most: rows, and bytes as the database keeps them. */
const chunkLimits = { rows: 50_000, bytes: 16 * 2 ** 20 };

export interface ExportOptions {
  databaseUrl: string;
  directory: string;
  blobs: Blobs;
  release: string;
  now: Date;
  /** Told what goes on, a line at a time. */
  note: (text: string) => void;
  /** Smaller chunks, for tests. */
  limits?: { rows: number; bytes: number };
}

/**
 * Exports a whole store, as it is at one moment, while a server may run on it. In a directory with an earlier export, or with
 * one that was interrupted, only what has changed since is written; the earlier one holds until this one is whole.
 * @throws TransferError for a directory that holds something else.
 */
export async function exportStore(options: ExportOptions): Promise<Manifest> {
  const { directory } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const client = await connectForTransfer(options.databaseUrl);
  try {
    await demandAlone(client, directory);
    return await exportFrom(client, options);
  } finally {
    await client.end();
  }
}

/** Of two exports that write to a directory each would remove what the other has written. */
async function demandAlone(client: pg.Client, directory: string): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>(
    `SELECT pg_try_advisory_lock(${exportLock}, hashtext($1)) AS taken`,
    [await realpath(directory)],
  );
  if (!rows[0]!.taken) throw new TransferError(`Another export to ${directory} is under way.`);
}

async function exportFrom(client: pg.Client, options: ExportOptions): Promise<Manifest> {
  const { directory, blobs, note } = options;
  const last = await findManifest(directory);
  if (last === null && !(await isInterrupted(directory)) && !(await isEmpty(directory))) {
    throw new TransferError(`${directory} is not empty, and holds no export: name an empty directory, or a new one.`);
  }
  const progress = await openProgress(directory, last);
  // All tables are read as they are at one moment, however long it takes.
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  const state = await stateOf(client);
  if (last !== null && last.serverName !== state.serverName) {
    throw new TransferError(`${directory} holds an export of another server, ${last.serverName}.`);
  }
  const tables: Record<string, ExportedTable> = {};
  for (const table of await exportedTables(client)) {
    tables[table.name] = await exportTable(client, table, progress, options);
  }
  // Sequences know nothing of moments: read last, they are beyond all that the tables hold.
  const at = await sequences(client);
  await notePlaces(client, directory);
  // Before files are copied, which may take long: as long as the moment lasts, the database can't tidy up.
  await client.query("COMMIT");
  const media = await exportMedia(client, blobs, directory, counted(note, "files"));
  const manifest: Manifest = {
    ...{ format: 1, release: options.release, madeAt: options.now.toISOString() },
    ...{ ...state, tables, sequences: at, media },
  };
  await writeText(directory, manifestName, `${JSON.stringify(manifest, null, 1)}\n`);
  await progress.end();
  await removeOthers(directory, manifest);
  return manifest;
}

/** Reads all of an export, without a database; throws `TransferError` naming what isn't as it was. */
export async function verifyExport(directory: string, note: (text: string) => void): Promise<Manifest> {
  const manifest = await readManifest(directory);
  for (const [name, table] of Object.entries(manifest.tables)) {
    const hash = createHash("sha256");
    for (const chunk of table.chunks) await checkChunk(directory, name, chunk, hash);
    const rows = table.chunks.reduce((sum, chunk) => sum + chunk.rows, 0);
    if (rows !== table.rows || hash.digest("hex") !== table.sha256) {
      throw new TransferError(`${manifestName} is damaged: the chunks of ${name} aren't the table.`);
    }
    note(`${name}: ${rows} rows are whole.`);
  }
  await checkMedia(directory, manifest);
  return manifest;
}

async function stateOf(client: pg.Client): Promise<Pick<Manifest, "serverName" | "head" | "migrations">> {
  const named = await client.query<{ value: string }>("SELECT value FROM server_setting WHERE name = 'server_name'");
  const serverName = named.rows[0]?.value;
  if (serverName === undefined)
    throw new TransferError("The store holds nothing yet: no server was ever started on it.");
  // Not stream_head(): that waits for whoever appends, and what it would see isn't in this transaction's snapshot.
  const stream = await client.query<{ head: string }>(
    "SELECT greatest((SELECT max(position) FROM event), (SELECT max(position) FROM marker), 0)::text AS head",
  );
  const { rows: migrations } = await client.query<{ name: string; checksum: string }>(
    `SELECT migration_name AS name, checksum FROM _prisma_migrations
     WHERE rolled_back_at IS NULL AND finished_at IS NOT NULL ORDER BY migration_name COLLATE "C"`,
  );
  return { serverName, head: Number(stream.rows[0]!.head), migrations };
}

async function exportTable(
  client: pg.Client,
  table: Table,
  progress: Progress,
  { directory, limits = chunkLimits, note }: ExportOptions,
): Promise<ExportedTable> {
  const known = progress.known(table.name);
  let whole = createHash("sha256");
  const chunks: Chunk[] = [];
  let kept = 0;
  let after: string[] | null = null;
  do {
    const before = known[0];
    const upTo = await endOf(client, table, { after, upTo: before?.upTo ?? null }, limits);
    const range: Range = { after, upTo };
    const same = before !== undefined && JSON.stringify(before.upTo) === JSON.stringify(upTo);
    if (same) known.shift();
    const going = whole.copy();
    let chunk: Chunk;
    if (same && (await isUnchanged(client, table, range, { before, directory, going }))) {
      kept++;
      whole = going;
      chunk = before;
    } else chunk = await writeRange(client, table, range, { directory, also: whole });
    if (chunk.rows > 0) chunks.push(chunk);
    await progress.note(table.name, chunk);
    after = upTo;
  } while (after !== null);
  const rows = chunks.reduce((sum, chunk) => sum + chunk.rows, 0);
  if (rows > 0) note(`${table.name}: ${rows} rows in ${chunks.length} chunks, ${kept} of them unchanged`);
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
  return { columns: table.columns, rows, bytes, sha256: whole.digest("hex"), chunks };
}

/**
 * Where the next chunk ends: where the known one did, so that it may have stayed as it was, unless there is too much in it by
 * now; null at the end of the table.
 */
async function endOf(
  client: pg.Client,
  table: Table,
  range: Range,
  limits: { rows: number; bytes: number },
): Promise<string[] | null> {
  const { upTo } = range;
  if (upTo === null) return chunkEnd(client, table, range, limits);
  const doubled = { rows: 2 * limits.rows, bytes: 2 * limits.bytes };
  const fits = (await chunkEnd(client, table, range, doubled)) === null;
  return fits ? upTo : chunkEnd(client, table, range, limits);
}

/** Whether the range's rows are still the same and the chunk's file is whole; `going` goes on with their text. */
async function isUnchanged(
  client: pg.Client,
  table: Table,
  range: Range,
  { before, directory, going }: { before: Chunk; directory: string; going: Hash },
): Promise<boolean> {
  const { sha256 } = await measureRange(client, table, range, going);
  return sha256 === before.sha256 && (await isWhole(directory, table.name, before));
}

/** Removes what an earlier export, or an interrupted one, left and this one doesn't name. */
async function removeOthers(directory: string, manifest: Manifest): Promise<void> {
  const kept = new Set([manifestName, mediaListFile(manifest.media.list), "tables", "media"]);
  for (const [name, { chunks }] of Object.entries(manifest.tables)) {
    chunks.forEach((chunk) => kept.add(chunkFile(name, chunk)));
  }
  for (const name of await readdir(directory)) {
    const ours = /^(\.unfinished-[0-9a-f]{16}|media-[0-9a-f]{64}\.jsonl)$/.test(name);
    if (ours && !kept.has(name)) await rm(join(directory, name), { force: true });
  }
  for (const table of await readdir(join(directory, "tables")).catch(none)) {
    for (const file of await readdir(join(directory, "tables", table))) {
      const path = `tables/${table}/${file}`;
      if (!kept.has(path)) await rm(join(directory, path), { force: true });
    }
  }
  await removeOtherMedia(directory, manifest);
}

function none(error: unknown): string[] {
  if (isMissing(error)) return [];
  throw error;
}

async function isEmpty(directory: string): Promise<boolean> {
  return (await readdir(directory)).length === 0;
}

/** Notes every so many. */
function counted(note: (text: string) => void, what: string): (count: number) => void {
  return (count) => void (count % 1000 === 0 && note(`${count} ${what}`));
}
