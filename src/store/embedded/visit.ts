import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { connect, connectionString, DATABASE, type Address } from "./connect.ts";
import { startEmbeddedPostgres } from "./embedded.ts";
import { DataDirectoryInUseError, EmbeddedPostgresError, errorCode, errorMessage } from "./errors.ts";
import { readPassword } from "./initialise.ts";
import { findCluster } from "./layout.ts";
import { livePostmaster } from "./postmaster-file.ts";

/** A database that answers, whoever runs it. */
export interface Visit {
  url: string;
  /** Stops the database if it was started for the visit. */
  end(): Promise<void>;
}

/** A server that starts recovers first; one that stops takes up to ten seconds. */
const WAIT_MILLISECONDS = 60_000;
const POLL_MILLISECONDS = 100;

/**
 * Reaches the database of a data directory for a short while. Where a server runs on it, that one's database is used and
 * left as it is; otherwise it is started, and stopped by `end`. Where there is none yet, it is made only if `make` says so.
 * @throws EmbeddedPostgresError when there is none and none is to be made, or it can't be reached.
 */
export async function visitEmbeddedPostgres(options: {
  dataDir: string;
  log: (message: string) => void;
  make?: boolean;
}): Promise<Visit> {
  const deadline = Date.now() + WAIT_MILLISECONDS;
  for (;;) {
    const outcome = await attempt(options);
    if (typeof outcome !== "string") return outcome;
    if (Date.now() >= deadline) throw new EmbeddedPostgresError(outcome);
    await delay(POLL_MILLISECONDS);
  }
}

/** A visit, or why there is none yet: a server may be starting or stopping at this moment. */
async function attempt({
  dataDir,
  log,
  make = false,
}: Parameters<typeof visitEmbeddedPostgres>[0]): Promise<Visit | string> {
  if (make && !existsSync(dataDir)) return start(dataDir, log);
  const cluster = findCluster(dataDir);
  if (!cluster.exists) {
    if (make) return start(dataDir, log);
    throw new EmbeddedPostgresError(`There is no store in ${dataDir} yet: start hearth once, and register.`);
  }
  const running = livePostmaster(cluster.path);
  if (running === undefined) return start(dataDir, log);
  const described = `The PostgreSQL running on ${cluster.path} (process ${running.pid})`;
  if (running.stopping || running.socketDirectory === undefined) return `${described} is starting or stopping.`;
  const address = { socketDirectory: running.socketDirectory, password: readPassword(dataDir, true) };
  const problem = await refusal(address);
  if (problem !== null) return `${described} does not take connections (${problem}).`;
  return { url: connectionString(address, DATABASE), end: () => Promise.resolve() };
}

async function start(dataDir: string, log: (message: string) => void): Promise<Visit | string> {
  try {
    const started = await startEmbeddedPostgres({ dataDir, log });
    return { url: started.url(), end: () => started.stop() };
  } catch (error) {
    // Its database is about to come up, or has just gone down.
    if (error instanceof DataDirectoryInUseError) return error.message;
    throw error;
  }
}

/** Why the database doesn't answer; null when it does. */
async function refusal(address: Address): Promise<string | null> {
  try {
    await (await connect(address, DATABASE)).end();
    return null;
  } catch (error) {
    if (errorCode(error)?.startsWith("28")) {
      throw new EmbeddedPostgresError(
        `The embedded PostgreSQL refuses the password in the data directory's postgres.password (${errorMessage(error)}).`,
      );
    }
    return errorMessage(error);
  }
}
