import { createReadStream } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { pipeline } from "node:stream/promises";
import type pg from "pg";
import { z } from "zod";
import type { Blobs } from "../media/blobs.ts";
import { isMissing } from "../media/disk.ts";
import type { Spool } from "../media/spool.ts";
import { measureFile, Meter, sizeOf, writeWhole } from "./files.ts";
import { mediaListFile, TransferError, type Manifest } from "./manifest.ts";

/** Bytes of the content repository, as the list of an export has them: in order of their places. */
const listed = z.strictObject({
  /** As the store has it; below `media`, the path of the file. */
  place: z.string().regex(/^[0-9a-f]{2}\/[0-9a-f]{2}\/[\w-]+$/),
  sha256: z.string(),
  bytes: z.number(),
});
export type ListedFile = z.output<typeof listed>;

const pageSize = 1000;
const placesName = "unfinished-places.jsonl";

interface Place {
  place: string;
  sha256: string;
}

/** Writes down which places have bytes that files have, as the caller's transaction sees it: in order. */
export async function notePlaces(client: pg.Client, directory: string): Promise<void> {
  await writeWhole(
    directory,
    (file) => pipeline(livePlaces(client), file),
    () => placesName,
  );
}

async function* livePlaces(client: pg.Client): AsyncGenerator<string> {
  const { rows: known } = await client.query<{ there: boolean }>(
    "SELECT to_regclass('media_blob') IS NOT NULL AS there",
  );
  let after: string | undefined = known[0]!.there ? "" : undefined;
  while (after !== undefined) {
    const { rows }: pg.QueryResult<Place> = await client.query<Place>(
      `SELECT place, encode(sha256, 'hex') AS sha256 FROM media_blob WHERE state = 'live' AND place > $1
       ORDER BY place LIMIT ${pageSize}`,
      [after],
    );
    for (const row of rows) yield `${JSON.stringify(row)}\n`;
    after = rows.at(-1)?.place;
  }
}

/**
 * Copies the bytes of all noted places that aren't there yet, and writes the list of them. Those that the store of bytes
 * doesn't have are counted as missing, unless they were deleted since the places were noted.
 */
export async function exportMedia(
  client: pg.Client,
  blobs: Blobs,
  directory: string,
  goOn: (copied: number) => void,
): Promise<Manifest["media"]> {
  const found = { files: 0, bytes: 0, missing: 0 };
  async function* lines(): AsyncGenerator<string> {
    for await (const line of linesOf(join(directory, placesName))) {
      const { place, sha256 } = JSON.parse(line) as Place;
      const bytes = await copyOut(blobs, directory, place, sha256);
      if (bytes === null) found.missing += (await isLive(client, place)) ? 1 : 0;
      else {
        found.files++;
        found.bytes += bytes;
        goOn(found.files);
        yield `${JSON.stringify({ place, sha256, bytes } satisfies ListedFile)}\n`;
      }
    }
  }
  const meter = new Meter();
  await writeWhole(
    directory,
    (file) => pipeline(lines, meter, file),
    () => mediaListFile(meter.measured.sha256),
  );
  await rm(join(directory, placesName));
  return { list: meter.measured.sha256, ...found };
}

async function isLive(client: pg.Client, place: string): Promise<boolean> {
  const { rowCount } = await client.query("SELECT FROM media_blob WHERE state = 'live' AND place = $1", [place]);
  return rowCount === 1;
}

function linesOf(path: string): AsyncIterable<string> {
  return createInterface({ input: createReadStream(path), crlfDelay: Infinity });
}

/** The bytes that a file has; null when the store of bytes doesn't have it. */
async function copyOut(blobs: Blobs, directory: string, place: string, sha256: string): Promise<number | null> {
  const there = await measureFile(join(directory, "media", place));
  if (there?.sha256 === sha256) return there.bytes;
  const bytes = await blobs.read(place, null);
  if (bytes === null) return null;
  const meter = new Meter();
  await writeWhole(
    directory,
    (file) => pipeline(bytes, meter, file),
    () => `media/${place}`,
  );
  if (meter.measured.sha256 === sha256) return meter.measured.bytes;
  await rm(join(directory, "media", place), { force: true });
  throw new TransferError(`The file at ${place} of the content repository is damaged: its hash is another.`);
}

/** The files of an export's list. */
async function* listedFiles(directory: string, { media }: Manifest): AsyncGenerator<ListedFile> {
  const name = mediaListFile(media.list);
  const measured = await measureFile(join(directory, name));
  if (measured === null) throw new TransferError(`${name} is missing.`);
  if (measured.sha256 !== media.list) throw new TransferError(`${name} is damaged: its hash is another.`);
  for await (const line of linesOf(join(directory, name))) {
    yield listed.parse(JSON.parse(line));
  }
}

/** Reads every file of an export; throws `TransferError` naming one that isn't what it was. */
export async function checkMedia(directory: string, manifest: Manifest): Promise<void> {
  for await (const { place, sha256 } of listedFiles(directory, manifest)) {
    const measured = await measureFile(join(directory, "media", place));
    if (measured === null) throw new TransferError(`media/${place} is missing.`);
    if (measured.sha256 !== sha256) throw new TransferError(`media/${place} is damaged: its hash is another.`);
  }
}

/** Puts all files of an export where a server keeps them; those that are there already stay. */
export async function importMedia(
  manifest: Manifest,
  { directory, blobs, spool }: { directory: string; blobs: Blobs; spool: Spool },
  goOn: (put: number) => void,
): Promise<void> {
  let put = 0;
  for await (const file of listedFiles(directory, manifest)) {
    if (!(await isThere(blobs, file.place))) await copyIn({ directory, blobs, spool }, file);
    goOn(++put);
  }
}

/** Bytes are at their place whole, or not at all. */
async function isThere(blobs: Blobs, place: string): Promise<boolean> {
  const bytes = await blobs.read(place, null);
  bytes?.destroy();
  return bytes !== null;
}

async function copyIn(
  { directory, blobs, spool }: { directory: string; blobs: Blobs; spool: Spool },
  { place, sha256 }: ListedFile,
): Promise<void> {
  const path = join(directory, "media", place);
  const size = await sizeOf(path);
  if (size === null) throw new TransferError(`media/${place} is missing.`);
  const spooled = await spool.receive(createReadStream(path), size);
  try {
    if (spooled.sha256 !== sha256) throw new TransferError(`media/${place} is damaged: its hash is another.`);
    await blobs.put(place, spooled);
  } finally {
    await spooled.discard();
  }
}

/** Removes the files of earlier exports that this one's list doesn't name. */
export async function removeOtherMedia(directory: string, manifest: Manifest): Promise<void> {
  const groups = groupedByPrefix(listedFiles(directory, manifest));
  let group = await groups.next();
  for (const prefix of (await namesIn(join(directory, "media"))).sort()) {
    // Both are in order; what comes before a group's prefix is in none.
    const kept = !group.done && group.value.prefix === prefix ? group.value.places : new Set<string>();
    for (const second of await namesIn(join(directory, "media", prefix))) {
      for (const name of await namesIn(join(directory, "media", prefix, second))) {
        const place = `${prefix}/${second}/${name}`;
        if (!kept.has(place)) await rm(join(directory, "media", place), { force: true });
      }
    }
    if (!group.done && group.value.prefix === prefix) group = await groups.next();
  }
}

async function* groupedByPrefix(
  files: AsyncIterable<ListedFile>,
): AsyncGenerator<{ prefix: string; places: Set<string> }, undefined> {
  let group = { prefix: "", places: new Set<string>() };
  for await (const { place } of files) {
    const prefix = place.slice(0, 2);
    if (group.prefix !== prefix) {
      if (group.prefix !== "") yield group;
      group = { prefix, places: new Set() };
    }
    group.places.add(place);
  }
  if (group.prefix !== "") yield group;
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
