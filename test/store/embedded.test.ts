import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";
import { afterEach, expect, test } from "vitest";
import {
  EmbeddedPostgresError,
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from "../../src/store/embedded/embedded.ts";
import { lockDataDirectory } from "../../src/store/embedded/lock.ts";
import { until } from "../kit/until.ts";
import { visitEmbeddedPostgres } from "../../src/store/embedded/visit.ts";

const TIMEOUT = 60_000;
const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A data directory that any account may enter (0755) or only ours (0700, as mktemp makes it). */
function makeDirectory(mode = 0o755, name = "data"): string {
  const parent = mkdtempSync(join(tmpdir(), "hearth-test-"));
  spawnSync("chmod", [mode.toString(8), parent]);
  const directory = join(parent, name);
  mkdirSync(directory);
  cleanups.push(() => {
    const cluster = join(directory, "postgres");
    if (lstatSync(cluster, { throwIfNoEntry: false })?.isSymbolicLink() && existsSync(cluster)) {
      rmSync(realpathSync(cluster), { recursive: true, force: true });
    }
    rmSync(parent, { recursive: true, force: true });
  });
  return directory;
}

async function start(dataDir: string, log?: (message: string) => void, durable = false): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, durable, log });
  cleanups.push(() => server.stop());
  return server;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Starts the server in another Node process, which fills a table, says so, and then does nothing. */
async function startInChild(dataDir: string, durable = false): Promise<ChildProcess> {
  const program = `
    import pg from "pg";
    import { startEmbeddedPostgres } from "./src/store/embedded/embedded.ts";
    const server = await startEmbeddedPostgres({ dataDir: process.env.DATA_DIRECTORY, durable: ${durable} });
    const client = new pg.Client({ connectionString: server.url() });
    await client.connect();
    await client.query("CREATE TABLE kept AS SELECT 42 AS answer");
    console.log("ready");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
    env: { ...process.env, DATA_DIRECTORY: dataDir },
    stdio: ["ignore", "pipe", "inherit"],
  });
  cleanups.push(() => void child.kill("SIGKILL"));
  const [end] = (await Promise.race([once(child.stdout, "data"), once(child, "exit")])) as unknown[];
  expect(String(end)).toBe("ready\n");
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

const postmasterPid = (dataDir: string): number =>
  Number(readFileSync(join(dataDir, "postgres", "postmaster.pid"), "utf8").split("\n")[0]);

test("starts, keeps its data over a restart, and starts quickly then", { timeout: TIMEOUT }, async () => {
  const dataDir = makeDirectory();
  const first = await start(dataDir);
  const [settings] = await query(
    first.url(),
    `SELECT current_database() AS database, current_user AS user, current_setting('server_encoding') AS encoding,
      current_setting('listen_addresses') AS listen, current_setting('password_encryption') AS passwords,
      (SELECT datcollate FROM pg_database WHERE datname = 'hearth') AS collation`,
  );
  expect(settings).toEqual({
    database: "hearth",
    user: "hearth",
    encoding: "UTF8",
    listen: "",
    passwords: "scram-sha-256",
    collation: "C",
  });
  expect(statSync(join(dataDir, "postgres.password")).mode & 0o777).toBe(0o600);
  await query(first.url(), "CREATE TABLE kept AS SELECT 42 AS answer");
  await first.stop();
  expect(existsSync(join(dataDir, "hearth.lock"))).toBe(false);

  const begun = performance.now();
  const second = await start(dataDir);
  // Generous for a busy machine; alone it takes about a tenth of a second, and to make a cluster several.
  expect(performance.now() - begun).toBeLessThan(5_000);
  expect(await query(second.url(), "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
});

test("its URL serves Prisma's adapter, and the password is required", { timeout: TIMEOUT }, async () => {
  const server = await start(makeDirectory());
  const adapter = await new PrismaPg({ connectionString: server.url() }).connect();
  const result = await adapter.queryRaw({ sql: "SELECT current_database()::text", args: [], argTypes: [] });
  await adapter.dispose();
  expect(result.rows).toEqual([["hearth"]]);
  await expect(query(server.url().replace(/:[0-9a-f]+@/, ":wrong@"), "SELECT 1")).rejects.toMatchObject({
    code: "28P01",
  });
});

test("refuses a data directory in use, here and in another process", { timeout: TIMEOUT }, async () => {
  const dataDir = makeDirectory();
  const child = await startInChild(dataDir);
  const refusal = await start(dataDir).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(EmbeddedPostgresError);
  expect((refusal as Error).message).toContain(realpathSync(dataDir));
  expect((refusal as Error).message).toContain(`process ${child.pid}`);
  await kill(child);
  await start(dataDir);
  await expect(start(dataDir)).rejects.toThrow(`process ${process.pid}`);
});

test("takes over the server a killed process left running", { timeout: TIMEOUT }, async () => {
  const dataDir = makeDirectory();
  await kill(await startInChild(dataDir));
  const pid = postmasterPid(dataDir);
  const server = await start(dataDir);
  expect(postmasterPid(dataDir)).toBe(pid);
  expect(await query(server.url(), "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
  await server.stop();
  expect(existsSync(join(dataDir, "postgres", "postmaster.pid"))).toBe(false);
});

test("waits for a server that is shutting down, then starts its own", { timeout: TIMEOUT }, async () => {
  const dataDir = makeDirectory();
  const child = await startInChild(dataDir);
  const pid = postmasterPid(dataDir);
  // A smart shutdown lasts until the sessions end: until the child is killed.
  process.kill(pid, "SIGTERM");
  await kill(child);
  const server = await start(dataDir);
  expect(postmasterPid(dataDir)).not.toBe(pid);
  expect(await query(server.url(), "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
});

test("recovers after the database itself was killed", { timeout: TIMEOUT }, async () => {
  const dataDir = makeDirectory();
  // Durable, for otherwise PostgreSQL may lose the latest commits when it is killed itself.
  const child = await startInChild(dataDir, true);
  process.kill(postmasterPid(dataDir), "SIGKILL");
  await kill(child);
  const server = await start(dataDir, undefined, true);
  expect(await query(server.url(), "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
});

test.each(["data", "d".repeat(100)])(
  "a PostgreSQL that ends by itself is brought back at the same address (%s)",
  { timeout: TIMEOUT },
  async (name) => {
    const dataDir = makeDirectory(0o755, name);
    const said: string[] = [];
    const server = await start(dataDir, (message) => said.push(message), true);
    await query(server.url(), "CREATE TABLE kept AS SELECT 42 AS answer");
    for (const signal of ["SIGKILL", "SIGQUIT"] as const) {
      const pid = postmasterPid(dataDir);
      process.kill(pid, signal);
      await until(
        () => said.at(-1)?.startsWith("PostgreSQL is back") ?? false,
        () => said.join("\n"),
        20_000,
      );
      said.length = 0;
      expect(postmasterPid(dataDir)).not.toBe(pid);
      expect(await query(server.url(), "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
    }
    // A part of it that dies takes the other connections with it, and the lock on them.
    await query(
      server.url(),
      "SELECT 1 FROM pg_terminate_backend((SELECT pid FROM pg_locks WHERE locktype = 'advisory'))",
    );
    await until(
      () => said.at(-1)?.startsWith("PostgreSQL is back") ?? false,
      () => said.join("\n"),
    );
    await server.stop();
    expect(existsSync(join(dataDir, "postgres", "postmaster.pid"))).toBe(false);
  },
);

test("is not stopped by stale files whose process ids are in use again", { timeout: TIMEOUT }, async () => {
  const dataDir = makeDirectory();
  const first = await start(dataDir);
  await first.stop();
  writeFileSync(join(dataDir, "hearth.lock"), `${process.ppid}\nanother-boot:1\n`);
  writeFileSync(
    join(dataDir, "postgres", "postmaster.pid"),
    `${process.pid}\n${dataDir}/postgres\n1\n5432\n${dataDir}/run\n\n1 1\nready   \n`,
  );
  await start(dataDir);
});

test("refuses the same cluster reached through a second data directory", { timeout: TIMEOUT }, async () => {
  const dataDir = makeDirectory();
  await start(dataDir);
  const copy = makeDirectory();
  symlinkSync(join(dataDir, "postgres"), join(copy, "postgres"));
  writeFileSync(join(copy, "postgres.password"), readFileSync(join(dataDir, "postgres.password")));
  try {
    await expect(start(copy)).rejects.toThrow("in use by another server");
  } finally {
    rmSync(join(copy, "postgres"));
  }
});

test("works in a closed directory, and in one closed later", { timeout: TIMEOUT }, async () => {
  const closed = makeDirectory(0o700);
  const messages: string[] = [];
  const first = await start(closed, (message) => messages.push(message));
  await query(first.url(), "SELECT 1");
  await first.stop();
  if (process.getuid?.() === 0) {
    expect(lstatSync(join(closed, "postgres")).isSymbolicLink()).toBe(true);
    expect(messages.join("\n")).toContain("is a link to it");
  }
  await query((await start(closed)).url(), "SELECT 1");

  const moved = makeDirectory(0o700);
  const open = makeDirectory(0o755);
  const second = await start(open);
  await query(second.url(), "CREATE TABLE kept AS SELECT 42 AS answer");
  await second.stop();
  renameSync(open, moved);
  expect(await query((await start(moved)).url(), "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
});

test("works where the path is too long for a socket, with spaces and quotes", { timeout: TIMEOUT }, async () => {
  const long = await start(makeDirectory(0o755, "long ".repeat(30).trim()));
  await query(long.url(), "SELECT 1");
  expect(existsSync(join(long.dataDir, "run"))).toBe(false);
  const odd = await start(makeDirectory(0o755, `a, "b" 100% é`));
  await query(odd.url(), "SELECT 1");
  expect(existsSync(join(odd.dataDir, "run"))).toBe(true);
});

test(
  "a visit waits for a server that is starting or stopping, and uses one that runs",
  { timeout: TIMEOUT },
  async () => {
    const dataDir = makeDirectory();
    const options = { dataDir, log: () => {} };
    await expect(visitEmbeddedPostgres(options)).rejects.toThrow("There is no store");
    const server = await start(dataDir);
    await query(server.url(), "CREATE TABLE kept AS SELECT 42 AS answer");
    const pid = postmasterPid(dataDir);
    const beside = await visitEmbeddedPostgres(options);
    expect(await query(beside.url, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
    await beside.end();
    expect(postmasterPid(dataDir)).toBe(pid);
    await server.stop();

    // The lock alone is what a server has just before its database comes up, and just after it went down.
    const lock = lockDataDirectory(realpathSync(dataDir));
    const visiting = visitEmbeddedPostgres(options);
    lock.release();
    const alone = await visiting;
    expect(await query(alone.url, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
    await alone.end();
    expect(existsSync(join(dataDir, "postgres", "postmaster.pid"))).toBe(false);
  },
);

test("refuses data it cannot or should not use", { timeout: TIMEOUT }, async () => {
  const old = makeDirectory();
  mkdirSync(join(old, "postgres"));
  writeFileSync(join(old, "postgres", "PG_VERSION"), "16\n");
  await expect(start(old)).rejects.toThrow(/PostgreSQL 16.*Export/);

  const dangling = makeDirectory();
  symlinkSync(join(dangling, "gone"), join(dangling, "postgres"));
  await expect(start(dangling)).rejects.toThrow("not there");
  const foreign = makeDirectory();
  mkdirSync(join(foreign, "postgres"));
  writeFileSync(join(foreign, "postgres", "notes.txt"), "");
  await expect(start(foreign)).rejects.toThrow("not a PostgreSQL cluster");
  expect(existsSync(join(foreign, "hearth.lock"))).toBe(false);
});
