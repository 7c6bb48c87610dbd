#!/usr/bin/env node
import "./production.ts";
import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { createApp } from "./app.ts";
import { ConfigError, readConfig, unknownSettings, type Config } from "./config.ts";
import { openDatabase } from "./store/database.ts";
import type { Log } from "./model/ports.ts";
import { EmbeddedPostgresError, startEmbeddedPostgres, type EmbeddedPostgres } from "./store/embedded/embedded.ts";
import { migrate } from "./store/migrate.ts";
import { randomIds, systemClock, systemFetch } from "./system.ts";

const shutdownMs = 10_000;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: "string" } } });
  const config = readConfig(process.env, values.config ?? null);
  const log = pino({ level: config.logLevel, redact: ["*.password", "*.accessToken"] }, pino.destination(2));
  const unknown = unknownSettings(process.env);
  if (unknown.length > 0) log.warn({ unknown }, "these variables are no settings of this release, and do nothing");
  const dataDir = resolve(config.dataDir);
  if (config.databaseUrl === null) mkdirSync(dataDir, { recursive: true });

  const embedded =
    config.databaseUrl === null
      ? await startEmbeddedPostgres({ dataDir, log: (message) => log.info({}, message) })
      : null;
  try {
    await serve(config, dataDir, embedded, log);
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

async function serve(config: Config, dataDir: string, embedded: EmbeddedPostgres | null, log: Log): Promise<void> {
  const url = config.databaseUrl ?? embedded!.url();
  const applied = await migrate(url, migrationsDir());
  if (applied.length > 0) log.info({ applied }, "the database was migrated");
  const database = openDatabase(url);
  const app = await createApp({ config, database, clock: systemClock, ids: randomIds, fetch: systemFetch, log });
  const address = await app.listen();

  process.stdout.write(
    [
      `hearth is ready for ${config.serverName}.`,
      "",
      `  GraphiQL and GraphQL   ${address}/graphql`,
      embedded ? `  Data directory         ${dataDir}` : "  Database               as DATABASE_URL says",
      "  To stop it             press Ctrl+C",
      "",
    ].join("\n"),
  );

  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(1);
    stopping = true;
    setTimeout(() => process.exit(1), shutdownMs).unref();
    app
      .close()
      .then(() => database.close())
      .then(() => embedded?.stop())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ error }, "stopping failed");
          process.exit(1);
        },
      );
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
}

/** Beside the sources, or two levels up from the compiled file. */
function migrationsDir(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return resolve(here, here.endsWith("dist/src") ? "../../prisma/migrations" : "../prisma/migrations");
}

main().catch((error: unknown) => {
  const forPeople =
    error instanceof ConfigError ||
    error instanceof EmbeddedPostgresError ||
    (error as NodeJS.ErrnoException).code === "EADDRINUSE";
  process.stderr.write(
    `hearth can't start: ${forPeople ? (error as Error).message : String((error as Error).stack ?? error)}\n`,
  );
  process.exit(1);
});
