import { spawn, type ChildProcess } from "node:child_process";
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import type { Account } from "./account.ts";
import { connectWhenReady, hasListener, type Address } from "./connect.ts";
import type { Engine } from "./engine.ts";
import { EmbeddedPostgresError, errorCode, errorMessage } from "./errors.ts";
import { giveToDirectoryOwner, programEnvironment } from "./initialise.ts";
import { makeSocketDirectory, openSocketDirectory, PORT, removeSocketDirectory } from "./layout.ts";
import { isPostmasterOf, readPostmasterFile } from "./postmaster-file.ts";
import { answersSignals, hasProcessIn, isAlive, programName, waitUntil } from "./process.ts";

/** A server that takes connections. */
export interface RunningCluster {
  pid: number;
  address: Address;
  /** An open connection to the `hearth` database, ours to keep or end. */
  client: pg.Client;
  /** Set by whoever stops it, so that its end is not reported as news. */
  stopping: boolean;
}

/** Crash recovery replays up to max_wal_size and more, on whatever disk there is. */
const READY_MILLISECONDS = 300_000;
const ORPHANS_MILLISECONDS = 10_000;
const STOP_MILLISECONDS = 10_000;
/** For ourselves, for commands, and for whoever looks after it by hand. */
const OWN_CONNECTIONS = 20;
const LOG_BYTES = 10 * 1024 * 1024;

/** What a server is started with for so many connections, at least. */
function connectionsFor(connections: number): number {
  return Math.max(connections, 80) + OWN_CONNECTIONS;
}

/**
 * Takes over the server a killed predecessor of ours left running on this
 * cluster, waiting while it starts; undefined when there is none, once one
 * that was shutting down has gone, or after stopping one whose durability is
 * not the one asked for.
 * @param cluster real path of the cluster.
 * @throws EmbeddedPostgresError when a server is there that cannot be taken over.
 */
export async function adoptCluster(
  cluster: string,
  password: string,
  { durable, connections }: { durable: boolean; connections: number },
): Promise<RunningCluster | undefined> {
  const file = readPostmasterFile(cluster);
  if (!file) return undefined;
  if (!isPostmasterOf(file.pid, cluster)) {
    // Another container has other process ids but shares sockets with the directory.
    if (file.socketDirectory && (await hasListener(file.socketDirectory))) {
      throw new EmbeddedPostgresError(
        `The database in ${cluster} is in use by a PostgreSQL outside this container. Stop the server there first.`,
      );
    }
    await removeStaleFile(cluster, file.pid);
    return undefined;
  }
  const address = (): Address | undefined => {
    const current = readPostmasterFile(cluster);
    return current?.socketDirectory && !current.stopping
      ? { socketDirectory: current.socketDirectory, password }
      : undefined;
  };
  const client = await connectWhenReady({
    address,
    isGone: () => !isPostmasterOf(file.pid, cluster),
    milliseconds: READY_MILLISECONDS,
    describe: `The PostgreSQL already running on ${cluster} (process ${file.pid})`,
  });
  const reached = address();
  if (!client || !reached) {
    await client?.end().catch(() => {});
    // It has gone or is going: wait for that, and see to what it left.
    return adoptCluster(cluster, password, { durable, connections });
  }
  const { rows } = await client.query<{ directory: string; fsync: string; connections: number }>(
    `SELECT current_setting('data_directory') AS directory, current_setting('fsync') AS fsync,
       current_setting('max_connections')::integer AS connections`,
  );
  if (realpathSync(rows[0]?.directory ?? "") !== cluster) {
    await client.end();
    throw new EmbeddedPostgresError(
      `The PostgreSQL at ${reached.socketDirectory} serves ${rows[0]?.directory}, not ${cluster}. Stop it first.`,
    );
  }
  if ((rows[0]?.fsync === "on") !== durable || (rows[0]?.connections ?? 0) < connectionsFor(connections)) {
    await client.end();
    await stopCluster(cluster, file.pid);
    return undefined;
  }
  return { pid: file.pid, address: reached, client, stopping: false };
}

/**
 * PostgreSQL removes the file of a dead server itself, but refuses to start
 * when the number is taken: by another program since, or by the server's own
 * zombie, which lasts as long as a container whose first process reaps none.
 * Removing the file also removes PostgreSQL's check for orphaned backends,
 * which would corrupt the data, so that check is made here.
 */
async function removeStaleFile(cluster: string, pid: number): Promise<void> {
  if (!answersSignals(pid)) return;
  // A live PostgreSQL that works elsewhere: let PostgreSQL judge.
  if (isAlive(pid) && (programName(pid) ?? "postgres") === "postgres") return;
  if (!(await waitUntil(() => !hasProcessIn(cluster), ORPHANS_MILLISECONDS))) {
    throw new EmbeddedPostgresError(
      `Processes of a PostgreSQL that was killed still work on ${cluster}. End them, and start again.`,
    );
  }
  rmSync(join(cluster, "postmaster.pid"), { force: true });
}

interface StartOptions {
  engine: Engine;
  account: Account | undefined;
  cluster: string;
  dataDir: string;
  password: string;
  durable: boolean;
  /** That others are going to make. */
  connections: number;
  log: (message: string) => void;
  /** Where others look for its socket, if it ran before. */
  socketDirectory?: string;
}

/**
 * Starts a server on the cluster and waits until it takes connections. It is
 * in a session of its own, so a terminal's Ctrl-C does not reach it, and does
 * not keep our event loop running.
 * @throws EmbeddedPostgresError with the end of its log when it gives up.
 */
export async function startCluster(options: StartOptions): Promise<RunningCluster> {
  const deadline = Date.now() + ORPHANS_MILLISECONDS;
  for (;;) {
    const outcome = await launch(options);
    if (typeof outcome !== "string") return outcome;
    // Backends of a killed server notice within moments that it is gone, and leave.
    const orphans = outcome.includes("pre-existing shared memory block");
    if (!orphans || Date.now() >= deadline) {
      throw new EmbeddedPostgresError(`PostgreSQL did not start on ${options.cluster}:\n${outcome}`);
    }
    await delay(250);
  }
}

function settings(socketDirectory: string, { durable, connections }: StartOptions): string[] {
  const values: Record<string, string> = {
    listen_addresses: "",
    port: String(PORT),
    // A list of quoted names: the path may hold a comma or a space.
    unix_socket_directories: `"${socketDirectory.replaceAll('"', '""')}"`,
    unix_socket_permissions: "0700",
    shared_buffers: "128MB",
    max_connections: String(connectionsFor(connections)),
    max_wal_senders: "0",
    wal_level: "minimal",
    max_wal_size: "1GB",
    checkpoint_timeout: "15min",
    jit: "off",
    // Named both ways, for a configuration file edited by hand must not decide this.
    fsync: durable ? "on" : "off",
    synchronous_commit: durable ? "on" : "off",
    full_page_writes: durable ? "on" : "off",
  };
  return Object.entries(values).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

/** One attempt: a running server, or what its log says about why there is none. */
async function launch(options: StartOptions): Promise<RunningCluster | string> {
  const { engine, account, cluster, dataDir, password, log } = options;
  const socketDirectory = options.socketDirectory
    ? openSocketDirectory(options.socketDirectory, account)
    : makeSocketDirectory(dataDir, account);
  const address = { socketDirectory, password };
  // Like postmaster.pid, the socket's own lock file outlives a killed server and its number may be taken.
  if (!(await hasListener(address.socketDirectory))) {
    rmSync(join(address.socketDirectory, `.s.PGSQL.${PORT}.lock`), { force: true });
  }
  const output = openLog(dataDir);
  let child: ChildProcess;
  try {
    child = spawn(engine.postgres, ["-D", cluster, ...settings(address.socketDirectory, options)], {
      ...account,
      cwd: "/",
      env: programEnvironment(),
      detached: true,
      stdio: ["ignore", output.descriptor, output.descriptor],
    });
  } finally {
    closeSync(output.descriptor);
  }
  let failure: string | undefined;
  child.once("error", (error) => (failure = errorMessage(error)));
  child.once("exit", (code, signal) => (failure = signal ?? `exit code ${code}`));
  child.unref();

  let client: pg.Client | undefined;
  try {
    client = await connectWhenReady({
      address: () => address,
      isGone: () => failure !== undefined,
      milliseconds: READY_MILLISECONDS,
      describe: `The PostgreSQL just started on ${cluster}`,
    });
  } catch (error) {
    if (child.pid) await stopCluster(cluster, child.pid);
    removeSocketDirectory(dataDir, address.socketDirectory);
    throw error;
  }
  if (!client || !child.pid) {
    removeSocketDirectory(dataDir, address.socketDirectory);
    const written = readFileSync(output.path).subarray(output.start).toString();
    return `${failure}\n${written.trim().split("\n").slice(-20).join("\n")}`;
  }
  const running = { pid: child.pid, address, client, stopping: false };
  child.once("exit", (code, signal) => {
    if (!running.stopping) log(`PostgreSQL (process ${child.pid}) has ended: ${signal ?? `exit code ${code}`}`);
  });
  return running;
}

/** Opens `<dataDir>/postgres.log` for appending, setting a large one aside first. */
function openLog(dataDir: string): { path: string; descriptor: number; start: number } {
  const path = join(dataDir, "postgres.log");
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LOG_BYTES) renameSync(path, `${path}.1`);
  const descriptor = openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600);
  giveToDirectoryOwner(dataDir, path);
  return { path, descriptor, start: fstatSync(descriptor).size };
}

/**
 * Fast shutdown: open transactions are rolled back, data is written, the
 * process ends. Resolves to whether it did within ten seconds; one that did
 * not goes on shutting down, and the next start waits for it.
 */
export async function stopCluster(cluster: string, pid: number): Promise<boolean> {
  const isGone = (): boolean => !isPostmasterOf(pid, cluster);
  if (isGone()) return true;
  try {
    process.kill(pid, "SIGINT");
  } catch (error) {
    if (errorCode(error) !== "ESRCH") throw error;
  }
  return waitUntil(isGone, STOP_MILLISECONDS);
}
