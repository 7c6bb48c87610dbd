import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { EmbeddedPostgresError } from "./errors.ts";

/**
 * The numeric user and group PostgreSQL runs under, when that is not our own.
 * Undefined throughout this module means "as ourselves", which is the case
 * whenever we are not root.
 */
export interface Account {
  uid: number;
  gid: number;
}

/**
 * Owns nothing else and has no entry in the user database: a process under it
 * can touch only what is world-accessible and its own cluster. Below 65536 so
 * that it exists in a container's user namespace.
 */
const DEDICATED: Account = { uid: 64877, gid: 64877 };

/** In order of preference; the second serves when the first is itself a private data directory. */
const SYSTEM_DIRECTORIES = ["/var/lib/hearth", "/var/lib/hearth-postgres"];

/** Whether this process runs as root, under which PostgreSQL refuses to run. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * Picks the account for PostgreSQL from the existing paths given, most telling
 * first: the owner of the first one not owned by root, else a dedicated number.
 * Undefined when we are not root.
 */
export function chooseAccount(paths: string[]): Account | undefined {
  if (!isRoot()) return undefined;
  for (const path of paths) {
    const { uid, gid } = statSync(path);
    if (uid !== 0) return { uid, gid };
  }
  return DEDICATED;
}

/**
 * The account to run initdb under. It insists on an entry in the user database
 * (the server does not), so an unlisted account borrows a listed one and the
 * result is given to it afterwards.
 * @throws EmbeddedPostgresError when /etc/passwd lists no unprivileged account.
 */
export function listedAccount(account: Account): Account {
  let listing = "";
  try {
    listing = readFileSync("/etc/passwd", "utf8");
  } catch {
    // No user database at all is the same as an empty one.
  }
  const entries = listing
    .split("\n")
    .map((line) => line.split(":"))
    .filter((fields) => fields.length >= 4 && Number(fields[2]) > 0)
    .map((fields) => ({ name: fields[0], uid: Number(fields[2]), gid: Number(fields[3]) }));
  const own = entries.find((entry) => entry.uid === account.uid);
  if (own) return account;
  const borrowed = entries.find((entry) => entry.name === "nobody") ?? entries[0];
  if (borrowed) return { uid: borrowed.uid, gid: borrowed.gid };
  throw new EmbeddedPostgresError(
    "PostgreSQL cannot set up its data as root, and /etc/passwd lists no other user. " +
      "Add one (for example nobody), or run PostgreSQL yourself and set DATABASE_URL.",
  );
}

const EXECUTE = 1;
const READ = 4;

function hasMode(account: Account, path: string, wanted: number): boolean {
  const { uid, gid, mode } = statSync(path);
  const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
  return ((mode >> shift) & wanted) === wanted;
}

/** Whether the account may pass through the directory and every one above it. */
export function canEnter(account: Account | undefined, directory: string): boolean {
  if (!account) return true;
  for (let current = realpathSync(directory); ; current = dirname(current)) {
    if (!hasMode(account, current, EXECUTE)) return false;
    if (current === dirname(current)) return true;
  }
}

/** Whether the account may read (and, for programs, execute) the file, its directories included. */
export function canUse(account: Account | undefined, file: string, program: boolean): boolean {
  if (!account) return true;
  return canEnter(account, dirname(file)) && hasMode(account, file, program ? READ | EXECUTE : READ);
}

/** Makes the account the owner of one path; does nothing when running as ourselves. */
export function giveTo(account: Account | undefined, path: string): void {
  if (account) chownSync(path, account.uid, account.gid);
}

/** Makes the account the owner of a directory and all below it, symbolic links not followed. */
export function giveTreeTo(account: Account | undefined, path: string): void {
  if (!account) return;
  lchownSync(path, account.uid, account.gid);
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) giveTreeTo(account, join(path, name));
}

/**
 * A root-owned directory outside any home that the account can enter, made
 * when missing: where binaries and clusters go that it could not reach in place.
 * @throws EmbeddedPostgresError when there is none.
 */
export function systemDirectory(account: Account): string {
  for (const directory of SYSTEM_DIRECTORIES) {
    // Leave the mode of an existing directory alone: it may be someone's data.
    if (mkdirSync(directory, { recursive: true }) !== undefined) chmodSync(directory, 0o755);
    const { uid, mode } = statSync(directory);
    if (uid === 0 && (mode & 0o022) === 0 && canEnter(account, directory)) return realpathSync(directory);
  }
  throw new EmbeddedPostgresError(
    `PostgreSQL must not run as root, and user id ${account.uid} can enter neither the data directory nor ` +
      `${SYSTEM_DIRECTORIES.join(" or ")}. Start the server as an ordinary user, or set DATABASE_URL.`,
  );
}
