import { randomBytes } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { stringify } from "yaml";
import { createApp, type App } from "../../src/app.ts";
import { readConfig, type Config } from "../../src/config.ts";
import type { Domain } from "../../src/domain/domain.ts";
import type { Clock, Fetch, Log } from "../../src/model/ports.ts";
import { openDatabase, type Database } from "../../src/store/database.ts";
import { randomIds, systemClock } from "../../src/system.ts";
import { createDatabase } from "./database.ts";
import { template } from "./globalSetup.ts";
import { Client } from "./client.ts";
import { Mirror } from "./mirror.ts";
import { serveByYoga } from "./ways.ts";

export interface TestApp {
  /** e.g. http://127.0.0.1:40123 */
  address: string;
  /** Where the same domain answers HTTP by yoga alone; clients send their operations to both in turn. */
  yogaAddress: string;
  app: App;
  database: Database;
  databaseUrl: string;
  /** Where files lie, if there are any. */
  dataDir: string;
  /** What was logged at level error: tests of internals expect it, all others expect none. */
  errors: { fields: object; message: string }[];
  /** Registers a user and gives a client of theirs on a device. A mirror follows them until `close`. */
  user(name: string, deviceId?: string): Promise<Client>;
  /** A client without a token. */
  stranger(): Client;
  /** Checks every mirror, and fails when one of them was led astray. */
  close(): Promise<void>;
}

export interface TestAppOptions {
  /** `statements` counts also what sessions write in their own time. */
  countAll?: boolean;
  config?: Partial<Config>;
  clock?: Clock;
  /** By which addresses that strangers gave are called. */
  publicFetch?: Fetch;
  /** Where it logs; without it, nowhere but what `errors` holds. */
  log?: Log;
  /** Measure the process as well, which goes on until its end: for one test. */
  processMetrics?: boolean;
  /** Share another app's database, as another process would. */
  databaseUrl?: string;
  /**
   * False: no mirrors follow the users. For tests that break the database on purpose; all others show that snapshot and
   * stream together are what a fresh snapshot is. [EVS-3]
   */
  mirrors?: boolean;
  /** Registrations of application services, which are given to it as files. */
  services?: readonly { name: string; content: Record<string, unknown> }[];
}

/** An empty database of its own, copied from the migrated template. */
export function freshDatabase(): Promise<string> {
  return createDatabase(inject("postgresUrl"), `test_${randomBytes(8).toString("hex")}`, template);
}

/** What comes in its own time: what sessions write, who looks for work left behind or how far the stream is. */
function counts(text: string): boolean {
  return !/\b(FROM|INTO|UPDATE) session\b|hearth_sessions|FROM profile_change|account_deletion|stream_head/.test(text);
}

/** A whole server on a database of its own and a free port. */
export async function startApp(options: TestAppOptions = {}): Promise<TestApp> {
  const databaseUrl = options.databaseUrl ?? (await freshDatabase());
  const database = openDatabase(databaseUrl, { readers: 6, countStatements: options.countAll ? () => true : counts });
  const errors: TestApp["errors"] = [];
  const log: Log = options.log ?? {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (fields, message) => void errors.push({ fields, message }),
  };
  // Most tests look at each event that a stream brings; those of presence come whenever somebody connects.
  const ownDir = join(tmpdir(), `hearth-data-${randomBytes(8).toString("hex")}`);
  const services = (options.services ?? []).map(({ name, content }) => ({ path: join(ownDir, name), content }));
  if (services.length > 0) await mkdir(ownDir);
  await Promise.all(services.map(({ path, content }) => writeFile(path, stringify(content))));
  const settings = {
    ...{ HEARTH_PORT: "0", HEARTH_PRESENCE: "off", HEARTH_RATE_LIMIT: "off", HEARTH_DATA_DIR: ownDir },
    HEARTH_APPSERVICES: services.map(({ path }) => path).join(","),
  };
  const config: Config = { ...readConfig(settings, null), ...options.config };
  const app = await createApp({
    config,
    database,
    clock: options.clock ?? systemClock,
    ids: randomIds,
    fetch,
    publicFetch: options.publicFetch ?? fetch,
    log,
    processMetrics: options.processMetrics ?? false,
  });
  const address = await app.listen();
  const yoga = await serveByYoga({ app, address }, config, log);
  // They read by connections of their own, so that a test may count the app's statements.
  const watching = openDatabase(databaseUrl, { readers: 2 });
  const watched: Domain = { ...app.domain, reading: { ...app.domain.reading, connection: watching.reader } };
  const mirrors: Mirror[] = [];

  async function user(name: string, deviceId?: string): Promise<Client> {
    const client = await Client.register(address, name, deviceId);
    if (options.mirrors === false) return client;
    const mirror = new Mirror(watched, client.userId);
    mirrors.push(mirror);
    await mirror.begin();
    return client;
  }

  async function checkMirrors(): Promise<void> {
    const checked = await Promise.allSettled(mirrors.map((mirror) => mirror.check()));
    await Promise.all(mirrors.map((mirror) => mirror.disconnect()));
    const failures = checked.flatMap((each) => (each.status === "rejected" ? [each.reason as unknown] : []));
    if (failures.length > 0)
      throw failures.length === 1 ? failures[0] : new AggregateError(failures, failures.join("\n"));
  }

  return {
    address,
    yogaAddress: yoga.address,
    app,
    database,
    databaseUrl,
    dataDir: config.dataDir,
    errors,
    user,
    stranger: () => new Client(address, null, "", ""),
    async close() {
      try {
        await checkMirrors();
      } finally {
        await yoga.close();
        await app.close();
        await Promise.all([database.close(), watching.close()]);
        await rm(ownDir, { recursive: true, force: true });
      }
    },
  };
}
