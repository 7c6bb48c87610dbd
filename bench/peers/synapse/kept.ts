import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Plan } from "../peer.ts";
import { cachesDir, synapseVersion } from "./install.ts";

/** Moves with whatever else than the plan decides what a filled server holds. */
const fillVersion = 1;

/** What a filled server holds, and how to get in. */
export interface Filled {
  users: { userId: string; accessToken: string }[];
  /** Ids of the plan's rooms, in its order. */
  rooms: string[];
  sharedSecret: string;
}

/**
 * Keeps data directories of filled servers between runs, since filling one through its API takes minutes. `name` tells
 * servers with different stores apart.
 */
export class KeptServer {
  readonly #directory: string;

  constructor(name: string, plan: Plan) {
    const key = JSON.stringify([synapseVersion, fillVersion, name, plan]);
    this.#directory = join(cachesDir(), "filled", createHash("sha256").update(key).digest("hex").slice(0, 16));
  }

  /** Copies what was kept into a data directory; null when nothing was. */
  async restore(dataDir: string): Promise<Filled | null> {
    if (!existsSync(this.#directory)) return null;
    await cp(join(this.#directory, "data"), dataDir, { recursive: true, preserveTimestamps: true });
    return JSON.parse(await readFile(join(this.#directory, "filled.json"), "utf8")) as Filled;
  }

  /** Keeps a copy of the data directory of a server that has stopped. */
  async keep(dataDir: string, filled: Filled): Promise<void> {
    // Under another name until it is whole, so that a copy that was cut off isn't taken for one.
    const unfinished = `${this.#directory}.${process.pid}`;
    await mkdir(unfinished, { recursive: true });
    await cp(dataDir, join(unfinished, "data"), { recursive: true, preserveTimestamps: true });
    await writeFile(join(unfinished, "filled.json"), JSON.stringify(filled));
    await rm(this.#directory, { recursive: true, force: true });
    await rename(unfinished, this.#directory);
  }
}
