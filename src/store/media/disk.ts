import { mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { HearthError } from "../../model/errors.ts";

/** The mode of directories for files: those are nobody's business who merely has an account on the same machine. */
export const privateDirectory = 0o700;

/** Moves a file to where it belongs, so that it is there after a crash: whole, or not at all. */
export async function moveDurably(from: string, to: string): Promise<void> {
  const made = await mkdir(dirname(to), { recursive: true, mode: privateDirectory });
  await rename(from, to);
  await syncDirectory(dirname(to));
  // Directories are entries of their parents, which have to last as well.
  if (made === undefined) return;
  for (let each = dirname(to); each.length >= made.length; each = dirname(each)) await syncDirectory(dirname(each));
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Whether this is the system's word for something that isn't there. */
export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

/** What a failed write means for who waits for it: a full disk is of the moment. */
export function writeFailure(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new HearthError("OVERLOADED", "The server has no room for files at the moment.");
}
