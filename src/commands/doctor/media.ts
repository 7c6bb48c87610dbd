import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import type { Config } from "../../config.ts";
import { openBlobs } from "../../contentRepository.ts";
import { noLog } from "../../model/ports.ts";
import type { Blobs } from "../../store/media/blobs.ts";
import { hasTable } from "../../store/migrate.ts";
import { connectForTransfer } from "../../store/transfer/tables.ts";
import { systemClock, systemFetch } from "../../system.ts";
import { ok, problem, short, type Finding } from "./finding.ts";

const about = "files";

/** The content repository: puts a few bytes, reads them, and takes them away again. */
export async function* checkMedia(config: Config): AsyncGenerator<Finding> {
  const { s3 } = config.media;
  const where = s3 ? `the bucket ${s3.bucket} at ${s3.endpoint}` : "the data directory";
  const { spool, blobs } = openBlobs(config, { clock: systemClock, fetch: systemFetch, log: noLog });
  const bytes = randomBytes(64);
  const place = `00/00/doctor-${bytes.toString("hex").slice(0, 32)}`;
  try {
    // A copy: the spool takes the memory of what it is given.
    const spooled = await spool.receive(Readable.from([Buffer.from(bytes)]), bytes.length);
    try {
      await blobs.put(place, spooled);
    } finally {
      await spooled.discard();
    }
    const read = await readAndRemove(blobs, place);
    if (read.equals(bytes)) yield ok(about, `${where} keeps files, and gives them back`);
    else
      yield problem(
        about,
        `${where} gives back other bytes than it was given`,
        "see whether it is the store that is meant",
      );
  } catch (error) {
    // What a store answers may name keys.
    const status = /"status":(\d+)/.exec((error as Error).message)?.[1];
    const said = status === undefined ? short(error) : `it refuses with status ${status}`;
    yield problem(
      about,
      `${where} can't be used: ${said}`,
      s3
        ? "see that the endpoint is reached from here, that the bucket is there, and that the keys may put, get and delete"
        : "see that the account that runs hearth may write below HEARTH_DATA_DIR",
    );
  }
}

/** Files that are looked for. */
const sampled = 20;

/** Whether files are there that the store names: elsewhere they would be looked for in vain. */
export async function* checkFiles(config: Config, databaseUrl: string): AsyncGenerator<Finding> {
  const places = await somePlaces(databaseUrl);
  if (places.length === 0) return yield ok(about, "the store names none yet");
  const { blobs } = openBlobs(config, { clock: systemClock, fetch: systemFetch, log: noLog });
  let missing = 0;
  for (const place of places) {
    const bytes = await blobs.read(place, null);
    if (bytes === null) missing++;
    bytes?.destroy();
  }
  if (missing === 0)
    return yield ok(about, `${places.length} of those that the store names were looked for, and are there`);
  yield problem(
    about,
    `of ${places.length} that the store names ${missing} aren't there`,
    "see that HEARTH_DATA_DIR, or the bucket, is the one that the server uses; else put them back from a backup",
  );
}

async function somePlaces(databaseUrl: string): Promise<string[]> {
  const client = await connectForTransfer(databaseUrl);
  try {
    // A store that is to be migrated may have none yet.
    if (!(await hasTable(client, "media_blob"))) return [];
    const select = "SELECT place FROM media_blob WHERE state = 'live' ORDER BY place LIMIT $1";
    return (await client.query<{ place: string }>(select, [sampled])).rows.map(({ place }) => place);
  } finally {
    await client.end();
  }
}

async function readAndRemove(blobs: Blobs, place: string): Promise<Buffer> {
  try {
    const pieces: Buffer[] = [];
    for await (const piece of (await blobs.read(place, null)) ?? []) pieces.push(piece as Buffer);
    return Buffer.concat(pieces);
  } finally {
    await blobs.remove(place);
  }
}
