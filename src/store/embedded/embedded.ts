import { chmodSync, mkdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import { chooseAccount, giveTreeTo, isRoot } from "./account.ts";
import { adoptCluster, startCluster, stopCluster, type RunningCluster } from "./cluster.ts";
import { connectionString, DATABASE } from "./connect.ts";
import { prepareEngine, type Engine } from "./engine.ts";
import { EmbeddedPostgresError, errorMessage } from "./errors.ts";
import { initialiseCluster, readPassword } from "./initialise.ts";
import {
  findCluster,
  placeCluster,
  removeAbandonedStaging,
  removeSocketDirectory,
  type ClusterPlace,
} from "./layout.ts";
import { lockDataDirectory, type DataDirectoryLock } from "./lock.ts";
import { isAlive, waitUntil } from "./process.ts";

export { EmbeddedPostgresError } from "./errors.ts";

/** A running embedded PostgreSQL, held by this process alone. */
export interface EmbeddedPostgres {
  /** Connection string over the Unix socket for the database of that name (default `hearth`), password included. */
  url(database?: string): string;
  /** Real path of the data directory. */
  dataDir: string;
  /**
   * Fast shutdown, then the data directory's lock is given up. Waits up to ten
   * seconds; may be called more than once.
   */
  stop(): Promise<void>;
}

/** How to start it. */
export interface EmbeddedPostgresOptions {
  /** The server's data directory, made when missing. The cluster is `postgres` in it. */
  dataDir: string;
  /** Connections that are going to be made to it, besides a few of ours; 80 unless given. */
  connections?: number;
  /** Default true. False trades safety in a crash for speed, for tests. */
  durable?: boolean;
  /** Told, a line at a time, what an operator should know. Default: nothing is said. */
  log?: (message: string) => void;
}

/** Constant of our own choosing; advisory locks are per database, and this one has no other user. */
const SERVER_LOCK = 7_236_513_041;
/** The server ends a killed predecessor's session as soon as it sees the socket close. */
const SERVER_LOCK_MILLISECONDS = 3_000;

/**
 * Starts PostgreSQL on the data directory, or takes over the one a killed
 * server left running there, and resolves when it takes connections.
 * @throws EmbeddedPostgresError when the directory is in use by another
 *   server, holds another version's data, or PostgreSQL cannot run here.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => {});
  const dataDir = makeDataDirectory(options.dataDir);
  const lock = lockDataDirectory(dataDir);
  try {
    return handle(dataDir, await run(dataDir, options, log), lock, log);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function makeDataDirectory(path: string): string {
  // As root PostgreSQL runs under another account, which must be able to pass
  // through; what needs hiding in it has a mode of its own.
  if (mkdirSync(path, { recursive: true }) !== undefined) chmodSync(path, isRoot() ? 0o711 : 0o700);
  return realpathSync(path);
}

async function run(
  dataDir: string,
  { durable = true, connections = 80 }: EmbeddedPostgresOptions,
  log: (message: string) => void,
): Promise<{ cluster: string; running: RunningCluster; again: (socketDirectory: string) => Promise<RunningCluster> }> {
  removeAbandonedStaging(dataDir);
  const found = findCluster(dataDir);
  const account = chooseAccount(found.exists ? [found.path, dataDir] : [dataDir]);
  const engine = prepareEngine({ dataDir, account, log });
  if (found.exists) checkCluster(found, engine);
  const place = placeCluster(found, account, log);
  const password = readPassword(dataDir, place.exists);
  const cluster = place.path;

  /** Takes over a server that is there, or starts one. */
  async function up(exists: boolean, socketDirectory?: string): Promise<RunningCluster> {
    const adopted = exists ? await adoptCluster(cluster, password, { durable, connections }) : undefined;
    if (adopted) log(`Took over the PostgreSQL left running on ${cluster} (process ${adopted.pid})`);
    else if (!exists) await initialiseCluster({ engine, account, place, password, durable });
    // A restored backup may belong to root, as which the server does not run.
    else if (account && statSync(cluster).uid !== account.uid) giveTreeTo(account, cluster);

    const where = socketDirectory === undefined ? {} : { socketDirectory };
    const running =
      adopted ??
      (await startCluster({ engine, account, cluster, dataDir, password, durable, connections, log, ...where }));
    try {
      await takeServerLock(running.client, dataDir);
    } catch (error) {
      await running.client.end().catch(() => {});
      // One that was running before us is in use by whoever holds the lock.
      if (!adopted) await stopCluster(cluster, running.pid);
      throw error;
    }
    return running;
  }

  const running = await up(place.exists);
  return { cluster, running, again: (socketDirectory) => up(true, socketDirectory) };
}

function checkCluster(place: ClusterPlace, engine: Engine): void {
  const version = readFileSync(join(place.path, "PG_VERSION"), "utf8").trim();
  if (version !== engine.majorVersion) {
    throw new EmbeddedPostgresError(
      `${place.path} was made by PostgreSQL ${version}, and this release runs PostgreSQL ${engine.majorVersion}. ` +
        "Export your data with the release that made it, and import that into a new data directory with this one.",
    );
  }
}

/**
 * The lock file can be fooled by a copied data directory, or one shared between
 * containers. PostgreSQL itself cannot: it frees this lock exactly when the
 * session of its holder ends.
 */
async function takeServerLock(client: pg.Client, dataDir: string): Promise<void> {
  const deadline = Date.now() + SERVER_LOCK_MILLISECONDS;
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>(`SELECT pg_try_advisory_lock(${SERVER_LOCK}) AS taken`);
    if (rows[0]?.taken) break;
    if (Date.now() >= deadline) {
      throw new EmbeddedPostgresError(
        `The database of ${dataDir} is in use by another server, through another path or container. Stop that one first.`,
      );
    }
    await waitUntil(() => false, 50);
  }
  // Held for as long as we live, but no reason to live. (Missing from the type definitions.)
  (client as pg.Client & { unref(): void }).unref();
}

/** Milliseconds between tries to have a PostgreSQL again that ended by itself: at first, and in the end. */
const FIRST_PAUSE_MILLISECONDS = 100;
const LONGEST_PAUSE_MILLISECONDS = 5_000;

/**
 * The handle of a server that is to run until it is stopped: where it ends by itself, for want of disk or memory or by
 * somebody's hand, it is brought back at the same address, however long that takes.
 */
function handle(
  dataDir: string,
  { cluster, running, again }: Awaited<ReturnType<typeof run>>,
  lock: DataDirectoryLock,
  log: (message: string) => void,
): EmbeddedPostgres {
  const { address } = running;
  let stopped: Promise<void> | undefined;
  let recovering: Promise<void> | undefined;

  async function recover(): Promise<void> {
    for (let pause = FIRST_PAUSE_MILLISECONDS; !stopped; pause = Math.min(2 * pause, LONGEST_PAUSE_MILLISECONDS)) {
      await delay(pause, undefined, { ref: false });
      if (stopped) return;
      try {
        running = await again(address.socketDirectory);
        log(`PostgreSQL is back (process ${running.pid})`);
        return watch();
      } catch (error) {
        log(`PostgreSQL could not be started again: ${errorMessage(error)}`);
      }
    }
  }

  /** Our own session ends with the server, whatever ended it. */
  function watch(): void {
    running.client.once("end", () => {
      if (stopped) return;
      log("The connection to PostgreSQL was lost: it is looked after");
      recovering = recover();
    });
  }

  // Whatever ends this process, but for SIGKILL: PostgreSQL isn't to outlive it.
  const leave = (): void => void (isAlive(running.pid) && process.kill(running.pid, "SIGINT"));
  process.once("exit", leave);

  const stop = async (): Promise<void> => {
    await recovering;
    running.stopping = true;
    const gone = await stopCluster(cluster, running.pid);
    if (gone) removeSocketDirectory(dataDir, address.socketDirectory);
    else log(`PostgreSQL (process ${running.pid}) is still shutting down; the next start waits for it`);
    await running.client.end().catch(() => {});
    process.removeListener("exit", leave);
    lock.release();
  };
  watch();
  return {
    dataDir,
    url: (database = DATABASE) => connectionString(address, database),
    // Set before anything of it runs, for whoever looks whether it is to go on.
    stop: () => (stopped ??= Promise.resolve().then(stop)),
  };
}
