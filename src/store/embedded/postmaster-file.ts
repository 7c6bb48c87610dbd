import { readFileSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "./errors.ts";
import { isAlive, workingDirectory } from "./process.ts";

/** What a running server writes to `postmaster.pid`, as far as it has got. */
export interface PostmasterFile {
  pid: number;
  /** Directory of its socket; undefined while it is still starting. */
  socketDirectory: string | undefined;
  stopping: boolean;
}

/** Reads the cluster's `postmaster.pid`; undefined when there is none. */
export function readPostmasterFile(cluster: string): PostmasterFile | undefined {
  let lines: string[];
  try {
    lines = readFileSync(join(cluster, "postmaster.pid"), "utf8").split("\n");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  return {
    pid: Number(lines[0]),
    // The file grows line by line; the fifth is whole once a sixth has begun.
    socketDirectory: (lines.length > 5 && lines[4]) || undefined,
    stopping: lines[7]?.trim() === "stopping",
  };
}

/**
 * Whether the process is a server of this cluster rather than another program
 * that was given its number: a server works in its cluster's directory. Where
 * that cannot be told, a live process counts as one.
 */
export function isPostmasterOf(pid: number, cluster: string): boolean {
  return isAlive(pid) && (workingDirectory(pid) ?? cluster) === cluster;
}

/** The file of a server that runs on this cluster now; undefined when none does. */
export function livePostmaster(cluster: string): PostmasterFile | undefined {
  const file = readPostmasterFile(cluster);
  return file && isPostmasterOf(file.pid, cluster) ? file : undefined;
}
