import { join } from "node:path";
import { readPostmasterFile } from "../../../src/store/embedded/postmaster-file.ts";

/** The process of the PostgreSQL that a data directory holds; null when none runs. */
export function postmasterOf(dataDir: string): number | null {
  return readPostmasterFile(join(dataDir, "postgres"))?.pid ?? null;
}
