/** Servers and commands that are treated badly: what they started doesn't stay behind, and what isn't theirs doesn't end them. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, copyFileSync, existsSync, openSync, renameSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { program } from "../../scripts/program.ts";
import { isAlive } from "../../src/store/embedded/process.ts";
import { freshDatabase } from "../kit/app.ts";
import { freePort } from "../kit/ports.ts";
import { until } from "../kit/until.ts";
import { postmasterOf } from "./support/postmaster.ts";
import { inherited, startServer } from "./support/serverProcess.ts";

let directory: string;
let dataDir: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "hearth-circumstances-"));
  // PostgreSQL runs under another account when the tests are root.
  await chmod(directory, 0o711);
  dataDir = join(directory, "data");
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  const left = postmasterOf(dataDir);
  if (left !== null) process.kill(left, "SIGKILL");
});

/** Runs hearth without waiting for anything, on the data directory of these tests. */
function run(parameters: string[], settings: Record<string, string> = {}): ChildProcess & { said(): string } {
  const child = spawn(process.execPath, [...program().arguments, ...parameters], {
    env: { ...inherited(), HEARTH_DATA_DIR: dataDir, HEARTH_PORT: "0", ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let output = "";
  child.stdout.on("data", (text) => (output += String(text)));
  child.stderr.on("data", (text) => (output += String(text)));
  return Object.assign(child, { said: () => output });
}

async function running(): Promise<number> {
  await until(() => postmasterOf(dataDir) !== null, undefined, 30_000);
  return postmasterOf(dataDir)!;
}

async function endOf(child: ChildProcess): Promise<number | string | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode ?? child.signalCode;
}

const isGone = (postmaster: number): Promise<void> =>
  until(
    () => !isAlive(postmaster),
    () => "PostgreSQL stayed behind",
    15_000,
  );

test("who is told to stop while it starts leaves no PostgreSQL behind", async () => {
  const child = run(["start"]);
  const postmaster = await running();
  child.kill("SIGTERM");
  expect(await endOf(child)).toBe(0);
  expect(isAlive(postmaster)).toBe(false);
}, 60_000);

test("nor does who is told twice, while somebody holds it up", async () => {
  const port = await freePort();
  const child = run(["start"], { HEARTH_PORT: String(port) });
  await until(() => child.said().includes("is ready"), undefined, 30_000);
  const postmaster = await running();
  const slow = connect(port, "127.0.0.1").on("error", () => undefined);
  slow.write(
    "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
  );
  await once(slow, "connect");
  child.kill("SIGINT");
  await new Promise((resolve) => setTimeout(resolve, 300));
  child.kill("SIGINT");
  expect(await endOf(child)).toBe(1);
  await isGone(postmaster);
  slow.destroy();
}, 60_000);

test("nor does a command that is interrupted", async () => {
  const child = run(["export", join(directory, "export")]);
  const postmaster = await running();
  child.kill("SIGINT");
  expect(await endOf(child)).toBe(130);
  expect(isAlive(postmaster)).toBe(false);
}, 60_000);

test("nobody has to read what a server says when it is ready", async () => {
  const port = await freePort();
  const child = run(["start"], { HEARTH_PORT: String(port) });
  child.stdout!.destroy();
  const ready = (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until(ready, undefined, 30_000);
  child.kill("SIGTERM");
  expect(await endOf(child)).toBe(0);
}, 60_000);

test.skipIf(!existsSync("/dev/full"))(
  "a server goes on whose log can't be written",
  async () => {
    const full = openSync("/dev/full", "w");
    const server = await startServer({ DATABASE_URL: await freshDatabase(), HEARTH_LOG_LEVEL: "trace" }, { log: full });
    closeSync(full);
    server.reload();
    for (let n = 0; n < 3; n++) expect((await fetch(`${server.address}/ready`)).status).toBe(200);
    expect(await server.stop()).toBe(0);
  },
  60_000,
);

test("a worker that can't be started is tried again until it can", async () => {
  const node = join(directory, "node");
  copyFileSync(process.execPath, node);
  const server = await startServer({ DATABASE_URL: await freshDatabase(), HEARTH_WORKERS: "2" }, { node });
  // As an update of Node does, for a moment.
  renameSync(node, `${node}.gone`);
  for (const worker of server.workers()) process.kill(worker, "SIGKILL");
  await until(() => server.workers().length === 0);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(server.ended).toBe(false);
  renameSync(`${node}.gone`, node);
  const ready = (): Promise<boolean> =>
    fetch(`${server.address}/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until(async () => server.workers().length === 2 && (await ready()), undefined, 30_000);
  expect(await server.stop()).toBe(0);
}, 60_000);
