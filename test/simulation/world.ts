import { randomBytes } from "node:crypto";
import pg from "pg";
import { createApp, type App } from "../../src/app.ts";
import { readConfig, type Config } from "../../src/config.ts";
import type { Domain } from "../../src/domain/domain.ts";
import type { Log } from "../../src/model/ports.ts";
import { openDatabase, type Database } from "../../src/store/database.ts";
import { randomIds, systemClock } from "../../src/system.ts";
import { journalSql } from "./journal.ts";

interface Process {
  app: App;
  database: Database;
  /** What PostgreSQL knows its connections by. */
  name: string;
  /** From now on its writer reaches nothing. */
  die(): void;
}

/** Two processes of a server on one database, one of which may be lost and replaced. */
export class World {
  /** What was logged at level error by processes that are alive. */
  readonly errors: string[] = [];
  readonly #databaseUrl: string;
  readonly #config: Config;
  readonly #control: pg.Pool;
  readonly #processes: Process[] = [];
  /** Lost processes, on their way out. */
  readonly #leaving: Promise<void>[] = [];

  private constructor(databaseUrl: string, config: Partial<Config>, control: pg.Pool) {
    this.#databaseUrl = databaseUrl;
    this.#config = { ...readConfig({ HEARTH_PORT: "0" }, null), ...config };
    this.#control = control;
  }

  static async open(databaseUrl: string, config: Partial<Config> = {}): Promise<World> {
    const control = new pg.Pool({ connectionString: databaseUrl, max: 4 });
    await control.query(journalSql);
    const world = new World(databaseUrl, config, control);
    for (let slot = 0; slot < 2; slot++) world.#processes.push(await world.#startProcess());
    return world;
  }

  domain(slot: number): Domain {
    return this.#processes[slot]!.app.domain;
  }

  query<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
    return this.#control.query<Row>(text, values).then(({ rows }) => rows);
  }

  /** Inserts accounts that nobody signs in to, since hashing passwords would take longer than a schedule. */
  async users(count: number): Promise<string[]> {
    const batch = randomBytes(6).toString("hex");
    const userIds = Array.from({ length: count }, (_, index) => `@${"abc"[index]}.${batch}:${this.#config.serverName}`);
    await this.query("INSERT INTO account (user_id) SELECT unnest($1::text[])", [userIds]);
    return userIds;
  }

  /** Ends the connection of a process's writer, whatever it is doing; it connects anew. */
  async cut(slot: number): Promise<void> {
    await this.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND query ~ 'append_(batch|lock)'",
      [this.#processes[slot]!.name],
    );
  }

  /** Cuts a process's writer off for good, and starts another process in its stead. */
  async crash(slot: number): Promise<void> {
    const lost = this.#processes[slot]!;
    lost.die();
    await this.cut(slot);
    this.#processes[slot] = await this.#startProcess();
    this.#leaving.push(closeProcess(lost));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#leaving, ...this.#processes.map(closeProcess)]);
    await this.#control.end();
  }

  async #startProcess(): Promise<Process> {
    const name = `simulated_${randomBytes(6).toString("hex")}`;
    const url = new URL(this.#databaseUrl);
    url.searchParams.set("application_name", name);
    const real = openDatabase(url.href, { readers: 4 });
    let dead = false;
    const database: Database = {
      ...real,
      get writer() {
        return dead ? unreachableWriter : real.writer;
      },
    };
    const log: Log = {
      debug: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: (fields, message) => {
        if (!dead) this.errors.push(`${message} ${String((fields as { error?: unknown }).error)}`);
      },
    };
    const app = await createApp({
      config: this.#config,
      database,
      clock: systemClock,
      ids: randomIds,
      fetch,
      publicFetch: fetch,
      log,
    });
    return { app, database, name, die: () => void (dead = true) };
  }
}

/** What whoever waits for a lost process gets. */
export const processLost = Object.assign(new Error("the process was lost"), {
  // Of a class that the writer doesn't try again: a dead process repeats nothing.
  meta: { code: "42000" },
});
const unreachableWriter = {
  $transaction: () => Promise.reject(processLost),
  $queryRawUnsafe: () => Promise.reject(processLost),
} as unknown as Database["writer"];

async function closeProcess({ app, database }: Process): Promise<void> {
  await app.close();
  await database.close();
}
