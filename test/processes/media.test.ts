import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freshDatabase } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { bytesOf, download, filesIn, sha256, tryUpload, upload, uploadHead } from "../kit/media.ts";
import { Wire } from "../kit/wire.ts";
import { until } from "../kit/until.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

let dataDir: string;
let databaseUrl: string;
const running = new Set<ServerProcess>();

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "hearth-media-"));
  databaseUrl = await freshDatabase();
});

afterAll(async () => {
  await Promise.all([...running].map((server) => server.kill()));
  await rm(dataDir, { recursive: true, force: true });
});

async function start(): Promise<ServerProcess> {
  const server = await startServer({ HEARTH_DATA_DIR: dataDir, DATABASE_URL: databaseUrl });
  running.add(server);
  return server;
}

const at = ({ address }: ServerProcess, { token, userId, deviceId }: Client): Client =>
  new Client(address, token, userId, deviceId);

test("[AS-14] a process that is killed leaves no half file, and nothing that the next one wouldn't remove", async () => {
  const first = await start();
  const other = await start();
  const alice = await Client.register(first.address, "alice");
  const part = randomBytes(1_000_000);
  const head = (client: Client) => uploadHead(client, { "Content-Length": 2 * part.length });
  const cutOff = new Wire(first.address).write(head(alice)).write(part);
  const goingOn = new Wire(other.address).write(head(alice)).write(part);
  await until(async () => (await filesIn(dataDir, "spool")).length === 2);
  await first.kill();
  running.delete(first);
  await cutOff.ends();
  expect(await filesIn(dataDir, "files")).toEqual([]);

  const next = await start();
  // What the process that was killed wrote is gone, what the other one writes isn't.
  await until(async () => (await filesIn(dataDir, "spool")).length === 1);
  goingOn.write(part);
  await goingOn.gets("content_uri");
  const mxc = /mxc:[^"]+/.exec(goingOn.received)![0];
  goingOn.socket.destroy();
  expect(sha256(await bytesOf(await download(at(next, alice), mxc)))).toBe(sha256(Buffer.concat([part, part])));
  expect(await filesIn(dataDir, "spool")).toEqual([]);
  expect(await filesIn(dataDir, "files")).toHaveLength(1);
});

test("[AS-14] what was acknowledged before a kill is there after it, whole", async () => {
  const alice = await Client.register((await start()).address, "bob");
  const kept = new Map<string, Buffer>();
  for (let round = 0; round < 2; round++) {
    const server = await start();
    const client = at(server, alice);
    let killed = false;
    const senders = Array.from({ length: 4 }, async () => {
      while (!killed) {
        const bytes = randomBytes(50_000);
        const answer = await tryUpload(client, bytes).catch(() => null);
        if (answer?.status === 200) kept.set(answer.body["content_uri"] as string, bytes);
      }
    });
    const before = kept.size;
    await until(() => kept.size >= before + 15);
    killed = true;
    await server.kill();
    running.delete(server);
    await Promise.all(senders);
  }
  const [server] = running;
  const client = at(server!, alice);
  for (const [mxc, bytes] of kept) expect(sha256(await bytesOf(await download(client, mxc)))).toBe(sha256(bytes));
  // Whatever isn't a file has a row that says so, so that it is removed in time.
  const known = await sql<{ place: string }>(databaseUrl, "SELECT place FROM media_blob");
  for (const path of await filesIn(dataDir, "files"))
    expect(known.map((row) => path.endsWith(row.place))).toContain(true);
  expect(await upload(client, "and on it goes")).toMatch(/^mxc:/);
});
