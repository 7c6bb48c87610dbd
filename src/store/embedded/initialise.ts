import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { canEnter, giveTo, isRoot, listedAccount, systemDirectory, type Account } from "./account.ts";
import { USER } from "./connect.ts";
import type { Engine } from "./engine.ts";
import { EmbeddedPostgresError, errorMessage } from "./errors.ts";
import { linkCluster, moveCluster, stagingPath, type ClusterPlace } from "./layout.ts";

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
  const parent = dirname(place.path);
  // An account borrowed for this may be shut out of where the cluster's own is let in.
  const staging = stagingPath(builder && !canEnter(builder, parent) ? systemDirectory(builder) : parent);
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
    moveCluster(data, place.path, account);
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
