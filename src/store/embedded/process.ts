import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { errorCode } from "./errors.ts";

const POLL_MILLISECONDS = 10;

function bootIdentity(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

/**
 * A string naming the process that has this id now, stable for its lifetime
 * and different for a later process that reuses the number; undefined when no
 * process has it, or only a zombie does (an orphan is never reaped where the
 * container's first process does not do so). Away from Linux only existence
 * can be told, and the string is empty.
 */
export function processIdentity(pid: number): string | undefined {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  if (process.platform !== "linux") return answersSignals(pid) ? "" : undefined;
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    // Under hidepid another user's process has no entry here and still lives.
    return answersSignals(pid) ? "" : undefined;
  }
  // The command name, in parentheses, may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  if (state === "Z" || state === "X") return undefined;
  // Field 22 of the file: start time in clock ticks since boot.
  return `${bootIdentity()}:${fields[19] ?? ""}`;
}

/** Whether the system still knows the number: a process has it, of whatever owner, or a zombie. */
export function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}

/** Whether a process with this id runs (zombies do not count). */
export function isAlive(pid: number): boolean {
  return processIdentity(pid) !== undefined;
}

/**
 * The directory a process works in, or undefined when that cannot be told
 * (no such process, not ours to inspect, or not on Linux).
 */
export function workingDirectory(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

/** The short name of the program a process runs, or undefined when that cannot be told. */
export function programName(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Whether any process works in this directory; false where that cannot be told (away from Linux). */
export function hasProcessIn(directory: string): boolean {
  try {
    return readdirSync("/proc").some((name) => /^\d+$/.test(name) && workingDirectory(Number(name)) === directory);
  } catch {
    return false;
  }
}

/**
 * Polls until `condition` holds. Resolves to whether it did within
 * `milliseconds`.
 */
export async function waitUntil(condition: () => boolean, milliseconds: number): Promise<boolean> {
  const deadline = Date.now() + milliseconds;
  while (!condition()) {
    if (Date.now() >= deadline) return false;
    await delay(POLL_MILLISECONDS);
  }
  return true;
}
