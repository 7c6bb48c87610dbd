import { createReadStream } from "node:fs";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Blobs } from "./blobs.ts";
import { isMissing, moveDurably, writeFailure } from "./disk.ts";

/** Bytes in files of a directory. It has to be on the disk of the spool. */
export function createFiles(directory: string): Blobs {
  const pathOf = (place: string): string => join(directory, place);
  return {
    async put(place, { path }) {
      await moveDurably(path, pathOf(place)).catch((error: unknown) => {
        throw writeFailure(error);
      });
    },
    async read(place, range) {
      try {
        // Opened now, so that what is deleted from here on is read to its end.
        const file = await open(pathOf(place), "r");
        return createReadStream("", { fd: file, ...(range === null ? {} : { start: range.from, end: range.to }) });
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },
    async local(place) {
      try {
        await (await open(pathOf(place), "r")).close();
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
      return { path: pathOf(place), release: () => Promise.resolve() };
    },
    remove: (place) => rm(pathOf(place), { force: true }),
  };
}
