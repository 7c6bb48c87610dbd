import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  rmdirSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { canEnter, giveTo, giveTreeTo, isRoot, systemDirectory, type Account } from "./account.ts";
import { EmbeddedPostgresError, errorCode } from "./errors.ts";
import { livePostmaster } from "./postmaster-file.ts";

/** The port only names the socket file; nothing listens on the network. */
export const PORT = 5432;

const STAGING_PREFIX = "postgres-new-";

/** sockaddr_un holds this many bytes of path on each platform, less the closing zero. */
const SOCKET_PATH_BYTES = process.platform === "linux" ? 107 : 103;

/** Where the cluster is, or is to be made. */
export interface ClusterPlace {
  /** Real path of the cluster. */
  path: string;
  /** Whether a cluster is there already. */
  exists: boolean;
  /** What leads to it from the data directory: the same path, or a symbolic link. */
  entry: string;
}

/**
 * Looks at `<dataDir>/postgres` without changing anything.
 * @throws EmbeddedPostgresError when it holds something other than a cluster of ours,
 *   or points nowhere: making an empty database then would hide the loss.
 */
export function findCluster(dataDir: string): ClusterPlace {
  const entry = join(dataDir, "postgres");
  let path: string;
  try {
    path = realpathSync(entry);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    if (lstatSync(entry, { throwIfNoEntry: false })) {
      throw new EmbeddedPostgresError(
        `${entry} is a link to a database that is not there. Restore what it points to, or remove the link to begin with an empty database.`,
      );
    }
    return { path: entry, exists: false, entry };
  }
  const { uid } = statSync(path);
  const ours = process.getuid?.();
  if (!isRoot() && ours !== undefined && uid !== ours) {
    throw new EmbeddedPostgresError(
      `${path} belongs to user id ${uid}, and this server runs as ${ours}. Run it as that user, or change the owner.`,
    );
  }
  const exists = existsSync(join(path, "PG_VERSION"));
  if (!exists && readdirSync(path).length > 0) {
    throw new EmbeddedPostgresError(
      `${path} is not empty and not a PostgreSQL cluster. Move it away, or choose another data directory.`,
    );
  }
  return { path, exists, entry };
}

/**
 * Decides where a cluster the account can reach is to be: in place, or in the
 * system directory when some directory above the data directory is closed to
 * it. An existing cluster is moved there (unless it is running, hence reachable).
 */
export function placeCluster(
  place: ClusterPlace,
  account: Account | undefined,
  log: (message: string) => void,
): ClusterPlace {
  if (!account || canEnter(account, dirname(place.path))) return place;
  if (place.exists && livePostmaster(place.path)) return place;
  const clusters = join(systemDirectory(account), "clusters");
  mkdirSync(clusters, { recursive: true });
  chmodSync(clusters, 0o711);
  const path = join(clusters, randomBytes(8).toString("hex"));
  log(
    `PostgreSQL must not run as root, and user id ${account.uid} cannot enter ${dirname(place.path)}: ` +
      `the database is kept in ${path}, and ${place.entry} is a link to it`,
  );
  if (place.exists) {
    moveCluster(place.path, path, account);
    linkCluster({ ...place, path });
  }
  return { ...place, path };
}

/**
 * Makes the account the owner of a stopped cluster and moves it, copying when
 * the new place is on another file system. It appears there complete or not at all.
 */
export function moveCluster(from: string, to: string, account: Account | undefined): void {
  giveTreeTo(account, from);
  try {
    renameSync(from, to);
  } catch (error) {
    if (errorCode(error) !== "EXDEV") throw error;
    const staging = stagingPath(dirname(to));
    cpSync(from, staging, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    giveTreeTo(account, staging);
    // PostgreSQL takes its files to be on disk; a copy need not be for a while.
    spawnSync("sync");
    renameSync(staging, to);
    rmSync(from, { recursive: true });
  }
}

/** A new name for a cluster in the making, in the directory it is to appear in. */
export function stagingPath(directory: string): string {
  return join(directory, STAGING_PREFIX + randomBytes(8).toString("hex"));
}

/** Removes what an initialisation that was killed left. Call with the data directory locked. */
export function removeAbandonedStaging(dataDir: string): void {
  for (const name of readdirSync(dataDir)) {
    if (name.startsWith(STAGING_PREFIX)) rmSync(join(dataDir, name), { recursive: true, force: true });
  }
}

/** Makes `<dataDir>/postgres` lead to the cluster, when the cluster is elsewhere. */
export function linkCluster({ path, entry }: ClusterPlace): void {
  if (path === entry || realpathOrUndefined(entry) === path) return;
  const existing = lstatSync(entry, { throwIfNoEntry: false });
  if (existing?.isSymbolicLink()) rmSync(entry);
  else if (existing) rmdirSync(entry);
  symlinkSync(path, entry);
}

function realpathOrUndefined(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function fits(directory: string): boolean {
  return Buffer.byteLength(`${directory}/.s.PGSQL.${PORT}`) <= SOCKET_PATH_BYTES;
}

/**
 * Makes the directory for the socket, open to the account alone:
 * `<dataDir>/run` when its path is short enough and the account can enter it,
 * else a new one in the directory for temporary files.
 * @throws EmbeddedPostgresError when neither will do.
 */
export function makeSocketDirectory(dataDir: string, account: Account | undefined): string {
  const own = join(dataDir, "run");
  if (fits(own) && canEnter(account, dataDir)) return openSocketDirectory(own, account);
  for (const base of [tmpdir(), "/tmp"]) {
    const real = realpathOrUndefined(base);
    if (!real || !statSync(real).isDirectory() || !fits(join(real, "hearth-XXXXXX")) || !canEnter(account, real))
      continue;
    const directory = mkdtempSync(join(real, "hearth-"));
    giveTo(account, directory);
    return directory;
  }
  throw new EmbeddedPostgresError(
    `The path ${own} is too long or closed for a Unix socket, and ${tmpdir()} will not do either. ` +
      "Choose a shorter data directory, or set TMPDIR to a short path.",
  );
}

/** Makes a socket's directory where it is to be, or was; throws where somebody else has put one there. */
export function openSocketDirectory(directory: string, account: Account | undefined): string {
  mkdirSync(directory, { recursive: true });
  giveTo(account, directory);
  chmodSync(directory, 0o700);
  return directory;
}

/** Removes an emptied socket directory made outside the data directory. */
export function removeSocketDirectory(dataDir: string, directory: string): void {
  if (directory === join(dataDir, "run")) return;
  try {
    rmdirSync(directory);
  } catch {
    // Not empty, or gone already: nothing of ours to remove.
  }
}
