import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import type { Config } from "../config.ts";
import type { Log } from "../model/ports.ts";
import { connectionsOf } from "../store/database.ts";
import { startEmbeddedPostgres } from "../store/embedded/embedded.ts";
import { migrate } from "../store/migrate.ts";
import { migrationsDir } from "./migrationsDir.ts";

/** A store that is up to date and takes connections. */
export interface OpenStore {
  /** PostgreSQL's connection string. */
  url: string;
  /** For people: where it is. */
  place: string;
  /** Stops the PostgreSQL that is our own. */
  close(): Promise<void>;
}

/** Starts the embedded PostgreSQL, unless the settings name another, and brings the database up to date. */
export async function openStore(config: Config, log: Log): Promise<OpenStore> {
  const store = config.databaseUrl === null ? await embedded(config) : external(config.databaseUrl);
  try {
    const applied = await migrate(store.url, migrationsDir());
    if (applied.length > 0) log.info({ applied }, "the database was migrated");
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }

  async function embedded({ dataDir, workers, databaseConnections }: Config): Promise<OpenStore> {
    const directory = resolve(dataDir);
    mkdirSync(directory, { recursive: true });
    const postgres = await startEmbeddedPostgres({
      dataDir: directory,
      connections: workers * connectionsOf(databaseConnections),
      log: (message) => log.info({}, message),
    });
    return { url: postgres.url(), place: directory, close: () => postgres.stop() };
  }
}

function external(url: string): OpenStore {
  return { url, place: "as DATABASE_URL says", close: () => Promise.resolve() };
}
