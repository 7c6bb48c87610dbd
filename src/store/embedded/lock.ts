import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DataDirectoryInUseError, EmbeddedPostgresError, errorCode } from "./errors.ts";
import { processIdentity } from "./process.ts";

/** A held data-directory lock. */
export interface DataDirectoryLock {
  /** Gives the lock up. Safe to call more than once. */
  release(): void;
}

const ATTEMPTS = 20;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The id of the live process that wrote this lock, or undefined when it is gone. */
function holder(content: string): number | undefined {
  const [pid = "", identity = ""] = content.split("\n");
  const current = processIdentity(Number(pid));
  if (current === undefined) return undefined;
  // An identity that cannot be read on either side proves nothing; err on the side of "held".
  return current === identity || current === "" || identity === "" ? Number(pid) : undefined;
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

/**
 * Takes `<dataDir>/hearth.lock`, which names our process id and start time, so
 * that one left by a killed server is recognised as stale even when its number
 * is in use again.
 * @throws DataDirectoryInUseError naming the directory and the holder's process id.
 */
export function lockDataDirectory(dataDir: string): DataDirectoryLock {
  const path = join(dataDir, "hearth.lock");
  const content = `${process.pid}\n${processIdentity(process.pid) ?? ""}\n`;
  const suffix = randomBytes(6).toString("hex");
  const candidate = `${path}.${suffix}`;
  writeFileSync(candidate, content, { mode: 0o644, flag: "wx" });
  try {
    // Linking a finished file, unlike creating one, never shows it half written.
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (tryLink(candidate, path)) return heldLock(path, content);
      const existing = read(path);
      if (existing === undefined) continue;
      const pid = holder(existing);
      if (pid !== undefined) {
        throw new DataDirectoryInUseError(
          `The data directory ${dataDir} is in use by another server (process ${pid}). ` +
            "Stop that one first, or give this one a directory of its own.",
        );
      }
      discardStale(path, `${path}.stale-${suffix}`, existing);
    }
  } finally {
    rmSync(candidate, { force: true });
  }
  throw new EmbeddedPostgresError(`Could not lock the data directory ${dataDir}: ${path} keeps changing. Try again.`);
}

/**
 * Removes a stale lock. Between reading and removing, another start may have
 * replaced it with its own; moving it aside shows which one was caught, and a
 * live one is put back. (Should a third start slip into that gap, the advisory
 * lock in the database decides.)
 */
function discardStale(path: string, aside: string, expected: string): void {
  try {
    renameSync(path, aside);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return;
    throw error;
  }
  if (read(aside) !== expected) tryLink(aside, path);
  rmSync(aside, { force: true });
}

function heldLock(path: string, content: string): DataDirectoryLock {
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      if (read(path) === content) rmSync(path, { force: true });
    },
  };
}
