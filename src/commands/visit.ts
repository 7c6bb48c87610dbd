import { resolve } from "node:path";
import type { Config } from "../config.ts";
import type { Visit } from "../store/embedded/visit.ts";
import { Interrupted, plainMessage, Problem } from "./problem.ts";

/** Settings as `--config` names them. */
export interface CommonOptions {
  config?: string;
}

/** The settings of the environment and of the file. */
export async function configOf({ config: file }: CommonOptions): Promise<Config> {
  const { readConfig } = await import("../config.ts");
  return readConfig(process.env, file ?? null);
}

/**
 * Works with the store that the settings name, whether a server runs on it or not. An embedded PostgreSQL is used where it
 * runs, else started and stopped; where there is none yet it is made only if `make` says so.
 */
export async function withStore<T>(
  config: Config,
  work: (databaseUrl: string) => Promise<T>,
  { make = false }: { make?: boolean } = {},
): Promise<T> {
  const interrupted = untilInterrupted();
  const visit = await reach(config, make);
  try {
    return await Promise.race([demandAnswer(visit.url).then(() => work(visit.url)), interrupted]);
  } finally {
    await visit.end();
  }
}

/** Rejects when a signal comes: what was started for a command isn't to stay behind. SIGHUP is left to `nohup`. */
function untilInterrupted(): Promise<never> {
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => reject(new Interrupted(signal)));
  });
  // It may come while nobody looks yet.
  interrupted.catch(() => undefined);
  return interrupted;
}

async function reach({ databaseUrl, dataDir }: Config, make: boolean): Promise<Visit> {
  if (databaseUrl !== null) return { url: databaseUrl, end: () => Promise.resolve() };
  const { visitEmbeddedPostgres } = await import("../store/embedded/visit.ts");
  return visitEmbeddedPostgres({ dataDir: resolve(dataDir), log: note, make });
}

async function demandAnswer(url: string): Promise<void> {
  const { default: pg } = await import("pg");
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (error) {
    throw new Problem(`The store can't be used: ${plainMessage(error)}`);
  } finally {
    await client.end().catch(() => {});
  }
}

/** Says what came of a command. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Says what goes on meanwhile, beside what came of it. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
