import { appendFile, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isMissing } from "../media/disk.ts";
import type { Chunk, Manifest } from "./manifest.ts";

const name = "unfinished.jsonl";

/** A chunk that was written; null where an export began, or went on. */
type Line = { table: string; chunk: Chunk } | null;

/** What an export has written so far, so that one that is interrupted goes on there. */
export interface Progress {
  /** The chunks that there are of a table, in order: of the last whole export, and of one that was interrupted since. */
  known(table: string): Chunk[];
  note(table: string, chunk: Chunk): Promise<void>;
  /** The export is whole. */
  end(): Promise<void>;
}

export async function openProgress(directory: string, last: Manifest | null): Promise<Progress> {
  const path = join(directory, name);
  const tables = chunksOf((await readLines(path)) ?? [], last);
  const write = (line: Line): Promise<void> => appendFile(path, `${JSON.stringify(line)}\n`, { mode: 0o600 });
  await write(null);
  return {
    known: (table) => tables.get(table) ?? [],
    note: (table, chunk) => write({ table, chunk }),
    end: () => rm(path, { force: true }),
  };
}

/** The newest of each part of each table. */
function chunksOf(lines: Line[], last: Manifest | null): Map<string, Chunk[]> {
  const tables = new Map(Object.entries(last?.tables ?? {}).map(([table, { chunks }]) => [table, [...chunks]]));
  const reached = new Map<string, number>();
  for (const line of lines) {
    if (line === null) {
      reached.clear();
      continue;
    }
    const chunks = tables.get(line.table) ?? [];
    const at = reached.get(line.table) ?? 0;
    const end = JSON.stringify(line.chunk.upTo);
    const same = chunks.findIndex(({ upTo }, number) => number >= at && JSON.stringify(upTo) === end);
    // Its end is that of a chunk that there was, or lies within the next one.
    chunks.splice(at, same === -1 ? 0 : same - at + 1, line.chunk);
    tables.set(line.table, chunks);
    reached.set(line.table, at + 1);
  }
  return tables;
}

/** Whether an export was interrupted here. */
export async function isInterrupted(directory: string): Promise<boolean> {
  return (await readLines(join(directory, name))) !== null;
}

/** Null where there is no such file. The last line may be torn; what it would have told is done again. */
async function readLines(path: string): Promise<Line[] | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  const lines: Line[] = [];
  for (const line of text.split("\n")) {
    try {
      lines.push(JSON.parse(line) as Line);
    } catch {
      break;
    }
  }
  return lines;
}
