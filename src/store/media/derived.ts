import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isMissing, privateDirectory, writeFailure } from "./disk.ts";
import type { Spool } from "./spool.ts";

/** What was made of some bytes: it goes by their hash, and whoever deletes it all loses nothing but time. */
export interface Derived {
  /** A file whose name begins so, before the dot; null when there is none. */
  find(sha256: string, stem: string): Promise<{ name: string; bytes: Buffer } | null>;
  put(sha256: string, name: string, bytes: Uint8Array): Promise<void>;
  /** Removes all that was made of these bytes. */
  remove(sha256: string): Promise<void>;
  /** The hashes of all bytes that something was made of, some at a time. */
  hashes(): AsyncIterable<string[]>;
}

/** In a directory of its own, on the disk of the spool. */
export function createDerived(directory: string, spool: Spool): Derived {
  const directoryOf = (sha256: string): string => join(directory, sha256.slice(0, 2), sha256);

  return {
    async find(sha256, stem) {
      const name = (await namesIn(directoryOf(sha256))).find((each) => each.startsWith(`${stem}.`));
      if (name === undefined) return null;
      try {
        return { name, bytes: await readFile(join(directoryOf(sha256), name)) };
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },

    async put(sha256, name, bytes) {
      const path = join(directoryOf(sha256), name);
      const spooled = spool.newPath();
      try {
        await mkdir(dirname(spooled), { recursive: true, mode: privateDirectory });
        await writeFile(spooled, bytes);
        await mkdir(dirname(path), { recursive: true, mode: privateDirectory });
        await rename(spooled, path);
      } catch (error) {
        await rm(spooled, { force: true });
        throw writeFailure(error);
      }
    },

    remove: (sha256) => rm(directoryOf(sha256), { recursive: true, force: true }),

    async *hashes() {
      for (const prefix of await namesIn(directory)) {
        const hashes = await namesIn(join(directory, prefix));
        if (hashes.length > 0) yield hashes;
      }
    },
  };
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
