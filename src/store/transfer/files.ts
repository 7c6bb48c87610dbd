import { createHash, randomBytes, type Hash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Transform, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { isMissing, moveDurably } from "../media/disk.ts";

/** What came by: how many bytes, and their hash. */
export interface Measured {
  bytes: number;
  /** In hexadecimal. */
  sha256: string;
}

/** Passes bytes on, and counts and hashes them. `also` is a hash that goes on from what came before. */
export class Meter extends Transform {
  readonly #hash = createHash("sha256");
  readonly #also: Hash | null;
  #bytes = 0;
  #measured: Measured | null = null;

  constructor(also: Hash | null = null) {
    super();
    this.#also = also;
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: (error: null, piece: Buffer) => void): void {
    this.#bytes += piece.length;
    this.#hash.update(piece);
    this.#also?.update(piece);
    done(null, piece);
  }

  /** Once all has come. */
  get measured(): Measured {
    return (this.#measured ??= { bytes: this.#bytes, sha256: this.#hash.digest("hex") });
  }
}

/** Only owners read what is written here: there are secrets in it. */
const fileMode = 0o600;
const directoryMode = 0o700;

/** Writes a file whose name depends on what is in it: whole, or not at all, and for good. `name` is asked at the end. */
export async function writeWhole(
  directory: string,
  write: (file: NodeJS.WritableStream) => Promise<void>,
  name: () => string,
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: directoryMode });
  const temporary = join(directory, `.unfinished-${randomBytes(8).toString("hex")}`);
  try {
    await write(createWriteStream(temporary, { flags: "wx", mode: fileMode }));
    const file = await open(temporary, "r");
    await file.sync().finally(() => file.close());
    const path = join(directory, name());
    await mkdir(dirname(path), { recursive: true, mode: directoryMode });
    await moveDurably(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Writes a small file at once. */
export function writeText(directory: string, name: string, text: string): Promise<void> {
  return writeWhole(
    directory,
    (file) => pipeline([text], file),
    () => name,
  );
}

/** Reads a stream to its end, for its measure alone. */
export async function measure(stream: Readable, also: Hash | null = null): Promise<Measured> {
  const meter = new Meter(also);
  await pipeline(stream, meter, async (pieces: AsyncIterable<Buffer>) => {
    for await (const _piece of pieces);
  });
  return meter.measured;
}

/** The measure of a file; null where there is none. */
export async function measureFile(path: string): Promise<Measured | null> {
  try {
    return await measure(createReadStream(path));
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Bytes of a file; null where there is none. */
export async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
