import pg from "pg";
import type { Config } from "../../config.ts";
import { connectionsOf } from "../../store/database.ts";
import { migrationStatus } from "../../store/migrate.ts";
import { MigrationError } from "../../store/migrationError.ts";
import { migrationsDir } from "../migrationsDir.ts";
import { ok, problem, short, warning, type Finding } from "./finding.ts";

const about = "store";
const oldestVersion = 150_000;
const clockMs = 5_000;
const longMinutes = 5;
/** For commands, and whoever looks into the database. */
const spareConnections = 5;

interface Facts {
  version: number;
  versionText: string;
  encoding: string;
  fsync: string;
  pages: string;
  commit: string;
  connections: number;
  now: number;
  size: string;
}

/** The database: of a version that will do, up to date, safe in a crash, with enough connections. */
export async function* checkStore(config: Config, databaseUrl: string): AsyncGenerator<Finding> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 });
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (error) {
    const todo = "see that PostgreSQL runs, and that DATABASE_URL names it, with a user that may log in";
    return yield { ...problem(about, `the database can't be reached: ${short(error)}`, todo), usable: false };
  }
  try {
    yield* checkServer(config, await factsOf(client));
    yield* checkSchema(config, client, databaseUrl);
    yield* checkTransactions(client);
  } finally {
    await client.end();
  }
}

async function factsOf(client: pg.Client): Promise<Facts> {
  const { rows } = await client.query<Facts>(
    `SELECT current_setting('server_version_num')::integer AS version, current_setting('server_version') AS "versionText",
       current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS pages, current_setting('synchronous_commit') AS commit,
       current_setting('max_connections')::integer AS connections,
       (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now,
       pg_size_pretty(pg_database_size(current_database())) AS size`,
  );
  return rows[0]!;
}

function* checkServer(config: Config, facts: Facts): Generator<Finding> {
  if (facts.version < oldestVersion) {
    yield problem(about, `PostgreSQL ${facts.versionText} is too old`, "take PostgreSQL 15 or later");
  } else yield ok(about, `PostgreSQL ${facts.versionText} answers, with ${facts.size}`);
  if (facts.encoding !== "UTF8") {
    yield problem(
      about,
      `the database's encoding is ${facts.encoding}`,
      "make a database in UTF8, and import into that",
    );
  }
  if (facts.fsync !== "on" || facts.pages !== "on") {
    const off = facts.fsync === "on" ? "full_page_writes" : "fsync";
    yield problem(about, `${off} is off: a crash may destroy the database`, `switch ${off} on in postgresql.conf`);
  }
  if (facts.commit === "off") {
    yield problem(
      about,
      "synchronous_commit is off: what was acknowledged is lost in a crash",
      "switch synchronous_commit on in postgresql.conf",
    );
  }
  const needed = config.workers * connectionsOf(config.databaseConnections) + spareConnections;
  if (facts.connections < needed) {
    yield warning(
      about,
      `the database takes ${facts.connections} connections, and ${needed} may be needed`,
      "raise max_connections in postgresql.conf, or lower HEARTH_WORKERS or HEARTH_DATABASE_CONNECTIONS",
    );
  }
  const apart = Math.abs(Date.now() - facts.now);
  if (apart > clockMs) {
    const seconds = Math.round(apart / 1000);
    yield warning(about, `the database's clock is ${seconds} s off`, "set both clocks by NTP");
  }
}

async function* checkSchema(config: Config, client: pg.Client, databaseUrl: string): AsyncGenerator<Finding> {
  try {
    const { applied, pending } = await migrationStatus(databaseUrl, migrationsDir());
    if (applied.length === 0)
      return yield { ...ok(about, "the database is empty: hearth start makes the store"), usable: false };
    if (pending.length === 0) yield ok(about, "its schema is that of this release");
    else
      yield warning(
        about,
        `${pending.length} migrations are to be applied`,
        "back up; hearth start or hearth migrate does it",
      );
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    return yield {
      ...problem(about, error.message, "see the message; docs/operations.md has more on upgrades"),
      usable: false,
    };
  }
  const { rows } = await client.query<{ value: string }>("SELECT value FROM server_setting WHERE name = 'server_name'");
  const named = rows[0]?.value ?? config.serverName;
  if (named === config.serverName) return;
  yield problem(about, `the store is that of the server ${named}`, `set HEARTH_SERVER_NAME=${named}`);
}

async function* checkTransactions(client: pg.Client): AsyncGenerator<Finding> {
  const { rows } = await client.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM pg_stat_activity WHERE datname = current_database()
     AND xact_start < now() - interval '${longMinutes} minutes' AND pid <> pg_backend_pid()`,
  );
  const { count } = rows[0]!;
  if (count === 0) return;
  yield warning(
    about,
    `${count} transactions have been open for more than ${longMinutes} minutes, which keeps PostgreSQL from tidying up`,
    "see pg_stat_activity; a long hearth export is one, and ends by itself",
  );
}
