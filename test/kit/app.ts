import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import { createApp, type App } from "../../src/app.ts";
import { readConfig, type Config } from "../../src/config.ts";
import type { Clock, Log } from "../../src/model/ports.ts";
import { openDatabase, type Database } from "../../src/store/database.ts";
import { randomIds, systemClock } from "../../src/system.ts";
import { createDatabase } from "./database.ts";
import { template } from "./globalSetup.ts";
import { Client } from "./client.ts";

export interface TestApp {
  /** e.g. http://127.0.0.1:40123 */
  address: string;
  app: App;
  database: Database;
  databaseUrl: string;
  /** What was logged at level error: tests of internals expect it, all others expect none. */
  errors: { fields: object; message: string }[];
  /** Registers a user and gives a client of theirs on a device. */
  user(name: string, deviceId?: string): Promise<Client>;
  /** A client without a token. */
  stranger(): Client;
  close(): Promise<void>;
}

export interface TestAppOptions {
  config?: Partial<Config>;
  clock?: Clock;
  /** Share another app's database, as another process would. */
  databaseUrl?: string;
}

/** An empty database of its own, copied from the migrated template. */
export function freshDatabase(): Promise<string> {
  return createDatabase(inject("postgresUrl"), `test_${randomBytes(8).toString("hex")}`, template);
}

/** A whole server on a database of its own and a free port. */
export async function startApp(options: TestAppOptions = {}): Promise<TestApp> {
  const databaseUrl = options.databaseUrl ?? (await freshDatabase());
  const database = openDatabase(databaseUrl, { readers: 6, countStatements: true });
  const errors: TestApp["errors"] = [];
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (fields, message) => void errors.push({ fields, message }),
  };
  const config: Config = { ...readConfig({ HEARTH_PORT: "0" }, null), ...options.config };
  const app = await createApp({ config, database, clock: options.clock ?? systemClock, ids: randomIds, log });
  const address = await app.listen();
  return {
    address,
    app,
    database,
    databaseUrl,
    errors,
    user: (name, deviceId) => Client.register(address, name, deviceId),
    stranger: () => new Client(address, null, "", ""),
    async close() {
      await app.close();
      await database.close();
    },
  };
}
