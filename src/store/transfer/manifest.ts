import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

/** Part of a table, in a file of its own: the text of COPY, compressed by gzip. */
const chunk = z.strictObject({
  /** The last key that it may hold, as text; null for the last chunk. The first key comes after the chunk before. */
  upTo: z.array(z.string()).nullable(),
  rows: z.number().int().min(0),
  /** Of the text, before it is compressed; so is the hash, in hexadecimal, which names the file. */
  bytes: z.number().int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const table = z.strictObject({
  columns: z.array(z.string()).min(1),
  rows: z.number().int().min(0),
  bytes: z.number().int().min(0),
  /** Of all chunks' text, one after the other. */
  sha256: z.string(),
  chunks: z.array(chunk),
});

const manifest = z.strictObject({
  /** Of the format, which docs/decisions/0017-export-of-a-server.md describes. */
  format: z.literal(1),
  release: z.string(),
  serverName: z.string(),
  madeAt: z.string(),
  /** Newest position of the stream. */
  head: z.number().int().min(0),
  /** Those that the store had, in order. */
  migrations: z.array(z.strictObject({ name: z.string(), checksum: z.string() })),
  tables: z.record(z.string(), table),
  sequences: z.record(z.string(), z.strictObject({ value: z.string().regex(/^\d+$/), called: z.boolean() })),
  media: z.strictObject({
    /** Hash of the list of files, which names it. */
    list: z.string().regex(/^[0-9a-f]{64}$/),
    files: z.number().int().min(0),
    bytes: z.number().int().min(0),
    /** Files whose bytes were not to be found: deleted while the export ran, or lost. */
    missing: z.number().int().min(0),
  }),
});

export type Chunk = z.output<typeof chunk>;
export type ExportedTable = z.output<typeof table>;
export type Manifest = z.output<typeof manifest>;

/** An export can't be made, read or imported; the message says why, and is meant for who runs the server. */
export class TransferError extends Error {
  override readonly name = "TransferError";
}

export const manifestName = "manifest.json";

export function chunkFile(tableName: string, { sha256 }: Pick<Chunk, "sha256">): string {
  return `tables/${tableName}/${sha256}.copy.gz`;
}

export function mediaListFile(sha256: string): string {
  return `media-${sha256}.jsonl`;
}

/** What an export holds; throws `TransferError` where there is none, or one of another release's format. */
export async function readManifest(directory: string): Promise<Manifest> {
  const found = await findManifest(directory);
  if (found === null) {
    throw new TransferError(
      `${directory} holds no export: there is no ${manifestName}, which is written when one is whole.`,
    );
  }
  return found;
}

/** The same; null where there is none. */
export async function findManifest(directory: string): Promise<Manifest | null> {
  let text: string;
  try {
    text = await readFile(join(directory, manifestName), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  try {
    return manifest.parse(JSON.parse(text));
  } catch (error) {
    const first = error instanceof z.ZodError ? error.issues[0] : null;
    const problem = first ? `${first.path.join(".")}: ${first.message}` : (error as Error).message;
    throw new TransferError(`${join(directory, manifestName)} is none that this release reads: ${problem}`);
  }
}
