import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { HearthError } from "../../model/errors.ts";
import type { SpooledFile } from "./blobs.ts";
import { isMissing, privateDirectory, writeFailure } from "./disk.ts";
import { letGo } from "./letGo.ts";

/** Where files lie until it is known what is in them. */
export interface Spool {
  /** Writes what comes to a file, for good, and takes the pieces' memory back; throws `TOO_LARGE` as soon as it is more than `maxBytes`. Keeps nothing then. */
  receive(pieces: AsyncIterable<Uint8Array>, maxBytes: number): Promise<SpooledFile>;
  /** The path of a file that isn't there yet. */
  newPath(): string;
  /** Removes what processes left that are no more. `now`: milliseconds since the epoch. */
  clean(now: number): Promise<void>;
}

/** Nobody takes so long over a file: whatever is older was left by a process that can't be asked whether it lives. */
const abandonedMs = 60 * 60_000;

/** A spool in a directory, which several processes on several machines may share. */
export function createSpool(directory: string): Spool {
  const machine = thisMachine();

  function newPath(): string {
    return join(directory, `${machine}.${process.pid}.${randomBytes(12).toString("hex")}`);
  }

  async function isAbandoned(name: string, now: number): Promise<boolean> {
    const [where, pid] = name.split(".");
    if (where === machine && /^\d+$/.test(pid ?? "") && !isRunning(Number(pid))) return true;
    return now - (await stat(join(directory, name))).mtimeMs > abandonedMs;
  }

  return {
    newPath,
    async receive(pieces, maxBytes) {
      await mkdir(directory, { recursive: true, mode: privateDirectory });
      const path = newPath();
      const hash = createHash("sha256");
      let size = 0;
      const file = await open(path, "wx").catch((error: unknown) => {
        throw writeFailure(error);
      });
      try {
        for await (const piece of pieces) {
          size += piece.length;
          if (size > maxBytes) throw tooLarge(maxBytes);
          hash.update(piece);
          for (let at = 0; at < piece.length;) at += (await file.write(piece, at)).bytesWritten;
          letGo(piece);
        }
        await file.sync();
        await file.close();
      } catch (error) {
        await file.close().catch(() => undefined);
        await rm(path, { force: true });
        throw writeFailure(error);
      }
      return { path, size, sha256: hash.digest("hex"), discard: () => rm(path, { force: true }) };
    },

    async clean(now) {
      let names: string[];
      try {
        names = await readdir(directory);
      } catch (error) {
        if (isMissing(error)) return;
        throw error;
      }
      for (const name of names) {
        // Another process may have removed it in the meantime.
        const abandoned = await isAbandoned(name, now).catch((error: unknown) => {
          if (isMissing(error)) return false;
          throw error;
        });
        if (abandoned) await rm(join(directory, name), { force: true });
      }
    },
  };
}

/** `TOO_LARGE` for a file that is larger than this. */
export function tooLarge(maxBytes: number): HearthError {
  return new HearthError("TOO_LARGE", `The file is larger than ${maxBytes} bytes.`, { maxBytes });
}

/** Names whatever numbers its processes for itself: the machine since its start, or the container. */
function thisMachine(): string {
  const parts = [hostname()];
  for (const read of [
    () => readFileSync("/proc/sys/kernel/random/boot_id", "utf8"),
    () => readlinkSync("/proc/self/ns/pid"),
  ]) {
    try {
      parts.push(read());
    } catch {
      // Not Linux: the name has to do.
    }
  }
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 16);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
