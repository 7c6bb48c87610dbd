import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { giveTo, giveTreeTo, isRoot, listedAccount, type Account } from "./account.ts";
import { USER } from "./connect.ts";
import type { Engine } from "./engine.ts";
import { EmbeddedPostgresError, errorMessage } from "./errors.ts";
import { linkCluster, type ClusterPlace } from "./layout.ts";

const STAGING_PREFIX = "postgres-new-";

/**
 * The environment for PostgreSQL's programs: ours may hold PG* variables that
 * change their behaviour, and secrets that are none of their business.
 */
export function programEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
}

/**
 * The database password kept in `<dataDir>/postgres.password`, mode 0600,
 * generated when the cluster is yet to be made.
 * @throws EmbeddedPostgresError when a cluster exists and its password is lost.
 */
export function readPassword(dataDir: string, clusterExists: boolean): string {
  const path = join(dataDir, "postgres.password");
  const kept = existsSync(path) ? readFileSync(path, "utf8").trim() : "";
  if (kept) return kept;
  if (clusterExists) {
    throw new EmbeddedPostgresError(
      `${path} is missing: it holds the password of the database beside it. Restore it from the same backup.`,
    );
  }
  const password = randomBytes(24).toString("hex");
  writeFileSync(path, `${password}\n`, { mode: 0o600, flush: true });
  chmodSync(path, 0o600);
  giveToDirectoryOwner(dataDir, path);
  return password;
}

/** Lets a later start as the data directory's owner, not root, use a file we made as root. */
export function giveToDirectoryOwner(dataDir: string, path: string): void {
  const { uid, gid } = statSync(dataDir);
  if (isRoot()) giveTo({ uid, gid }, path);
}

/** Removes what an initialisation that was killed left. Call with the data directory locked. */
export function removeAbandonedStaging(dataDir: string): void {
  for (const name of readdirSync(dataDir)) {
    if (name.startsWith(STAGING_PREFIX)) rmSync(join(dataDir, name), { recursive: true, force: true });
  }
}

/**
 * Makes a cluster at the given place: UTF8, C locale, password authentication.
 * It is built beside and renamed, so that it appears complete or not at all.
 * @throws EmbeddedPostgresError with initdb's output when it fails.
 */
export async function initialiseCluster(options: {
  engine: Engine;
  account: Account | undefined;
  place: ClusterPlace;
  password: string;
  durable: boolean;
}): Promise<void> {
  const { engine, account, place, password, durable } = options;
  const builder = account && listedAccount(account);
  const staging = join(dirname(place.path), STAGING_PREFIX + randomBytes(8).toString("hex"));
  mkdirSync(staging, { mode: 0o700 });
  try {
    const passwordFile = join(staging, "password");
    writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
    giveTo(builder, passwordFile);
    giveTo(builder, staging);
    const data = join(staging, "data");
    await runInitdb(engine, builder, [
      `--pgdata=${data}`,
      `--username=${USER}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--no-locale",
      "--no-instructions",
      ...(durable ? [] : ["--no-sync"]),
    ]);
    giveTreeTo(account, data);
    renameSync(data, place.path);
    linkCluster(place);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

async function runInitdb(engine: Engine, account: Account | undefined, parameters: string[]): Promise<void> {
  const child = spawn(engine.initdb, parameters, {
    ...account,
    // Ours may be closed to the account.
    cwd: "/",
    env: programEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const failure = await new Promise<string | undefined>((resolve) => {
    child.once("error", (error) => resolve(errorMessage(error)));
    child.once("close", (code, signal) =>
      resolve(code === 0 ? undefined : `${signal ?? `exit code ${code}`}: ${output.trim()}`),
    );
  });
  if (failure === undefined) return;
  const hint = failure.includes("could not look up effective user ID")
    ? "The user id it runs under has no entry in /etc/passwd: add one. "
    : "";
  throw new EmbeddedPostgresError(
    `PostgreSQL could not set up its data. ${hint}${failure}\nIf it cannot run here, run PostgreSQL yourself and set DATABASE_URL.`,
  );
}
