import type { Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import pg from "pg";
import { from as copyFrom, to as copyTo } from "pg-copy-streams";
import { isMissing } from "../media/disk.ts";
import { measure, Meter, writeWhole, type Measured } from "./files.ts";
import { chunkFile, TransferError, type Chunk } from "./manifest.ts";
import { selectOf, type Range, type Table } from "./tables.ts";

/** Little less than the best takes a third of the time. */
const gzipLevel = 3;

/** The measure of a range's rows. `also` goes on with their text. */
export async function measureRange(
  client: pg.Client,
  table: Table,
  range: Range,
  also: Hash | null,
): Promise<Measured> {
  return measure(client.query(copyTo(copyText(table, range))), also);
}

/** Writes a range's rows to the file that their hash names. */
export async function writeRange(
  client: pg.Client,
  table: Table,
  range: Range,
  { directory, also }: { directory: string; also: Hash },
): Promise<Chunk> {
  const text = client.query(copyTo(copyText(table, range)));
  const meter = new Meter(also);
  await writeWhole(
    directory,
    (file) => pipeline(text, meter, createGzip({ level: gzipLevel }), file),
    () => chunkFile(table.name, meter.measured),
  );
  return { upTo: range.upTo, rows: text.rowCount, ...meter.measured };
}

function copyText(table: Table, range: Range): string {
  return `COPY (${selectOf(table, table.columns, range)}) TO STDOUT`;
}

/** Reads a chunk's file to its end; throws `TransferError` when it isn't what it was. */
export async function checkChunk(directory: string, tableName: string, chunk: Chunk, also: Hash | null): Promise<void> {
  const name = chunkFile(tableName, chunk);
  const text = createGunzip();
  try {
    const [measured] = await Promise.all([
      measure(text, also),
      pipeline(createReadStream(join(directory, name)), text),
    ]);
    demandSame(name, chunk, measured);
  } catch (error) {
    throw damage(name, error);
  }
}

/** Whether a chunk's file is there and whole. */
export async function isWhole(directory: string, tableName: string, chunk: Chunk): Promise<boolean> {
  try {
    await checkChunk(directory, tableName, chunk, null);
    return true;
  } catch (error) {
    if (error instanceof TransferError) return false;
    throw error;
  }
}

/** Loads a chunk into its table, in the caller's transaction; throws `TransferError` when it isn't what it was. */
export async function loadChunk(
  client: pg.Client,
  { directory, name, columns }: { directory: string; name: string; columns: readonly string[] },
  chunk: Chunk,
): Promise<void> {
  const file = chunkFile(name, chunk);
  const list = columns.map((column) => pg.escapeIdentifier(column)).join(", ");
  const rows = client.query(copyFrom(`COPY ${pg.escapeIdentifier(name)} (${list}) FROM STDIN`));
  const meter = new Meter();
  try {
    await pipeline(createReadStream(join(directory, file)), createGunzip(), meter, rows);
    demandSame(file, chunk, meter.measured);
    if (rows.rowCount !== chunk.rows) throw new TransferError(`${file} has ${rows.rowCount} rows, not ${chunk.rows}.`);
  } catch (error) {
    throw damage(file, error);
  }
}

function demandSame(file: string, chunk: Chunk, { bytes, sha256 }: Measured): void {
  if (bytes !== chunk.bytes || sha256 !== chunk.sha256)
    throw new TransferError(`${file} is damaged: its hash is another.`);
}

/** Names the file in what went wrong with it: unzipping fails with damaged ones, and the database refuses such rows. */
function damage(file: string, error: unknown): unknown {
  if (error instanceof TransferError) return error;
  if (isMissing(error)) return new TransferError(`${file} is missing.`);
  const { code, message } = error as NodeJS.ErrnoException;
  const ofZlib = code?.startsWith("Z_") === true;
  const ofData = typeof code === "string" && /^22[0-9A-Z]{3}$/.test(code);
  return ofZlib || ofData ? new TransferError(`${file} is damaged: ${message}`) : error;
}
