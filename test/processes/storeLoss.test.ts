/** A server whose PostgreSQL goes away for a while, and whose disk fills up, under load. */
import { spawnSync } from "node:child_process";
import { chmodSync, closeSync, mkdtempSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isAlive } from "../../src/store/embedded/process.ts";
import { Client, type Answer } from "../kit/client.ts";
import { until } from "../kit/until.ts";
import { postmasterOf } from "./support/postmaster.ts";
import { Reader } from "./support/reader.ts";
import { acknowledgedBy, Sender } from "./support/sender.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

/** A disk of its own, small enough to be filled; null where nobody may mount one. */
const disk = smallDisk();
const senderCount = 4;

let server: ServerProcess;
let alice: Client;
let bob: Client;
let roomIds: string[];
let reader: Reader;
let senders: Sender[];

beforeAll(async () => {
  const unlimited = { HEARTH_STREAM_REPLAY: "100000", HEARTH_STREAM_BACKLOG: "100000" };
  server = await startServer({ HEARTH_DATA_DIR: disk.path, ...unlimited });
  alice = await Client.register(server.address, "alice");
  bob = await Client.register(server.address, "bob");
  roomIds = [await alice.createRoom({ joinRule: "PUBLIC" })];
  await bob.join(roomIds[0]!);
  reader = new Reader(bob);
  await reader.connect(server.address);
  const address = (): Promise<string> => Promise.resolve(server.address);
  senders = Array.from(
    { length: senderCount },
    (_, number) => new Sender({ user: number % 2 === 0 ? alice : bob, name: `sender${number}`, roomIds, address }),
  );
  for (const sender of senders) sender.start();
});
afterAll(async () => {
  const postgres = postmasterOf(disk.path)!;
  await server?.kill();
  if (isAlive(postgres)) process.kill(postgres, "SIGKILL");
  await until(() => !isAlive(postgres));
  disk.remove();
});

function smallDisk(): { path: string; mounted: boolean; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "hearth-disk-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=200m,mode=755", "hearth", path]).status === 0;
  chmodSync(path, 0o755);
  return {
    path,
    mounted,
    remove() {
      if (mounted) spawnSync("umount", ["-l", path]);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

const read = "query ($room: ID!) { room(id: $room) { timeline(last: 5) { nodes { id } } } }";

const codesOf = ({ errors }: Answer): unknown[] => (errors ?? []).map((error) => error.extensions?.["code"]);

/** Waits until messages are acknowledged that were sent from now on. */
async function acknowledged(count: number): Promise<void> {
  const before = acknowledgedBy(senders);
  await until(
    () => acknowledgedBy(senders) >= before + count,
    () => `${acknowledgedBy(senders) - before} of ${count} were acknowledged`,
    30_000,
  );
}

/** What was acknowledged is there, once; what wasn't is nowhere; and the stream that was open all the time brought it. */
async function expectAllThere(): Promise<void> {
  for (const sender of senders) await sender.finish();
  const all = new Map(senders.flatMap((sender) => [...sender.acknowledged]));
  await reader.has(all.size);
  expect(new Map(reader.messages.map(({ id, content }) => [content?.["body"], id]))).toEqual(all);
  expect(reader.messages).toHaveLength(all.size);
  expect(reader.connections).toBe(1);
  expect(reader.limited).toBe(false);
  const timeline = await alice.timeline(roomIds[0]!);
  expect(timeline.slice(-reader.messages.length)).toEqual(reader.messages.map(({ id }) => id));
  for (const sender of senders) {
    expect(new Set(sender.refusals)).toEqual(new Set(["OVERLOADED"]));
    expect(sender.unanswered).toBe(0);
    sender.start();
  }
}

test("a PostgreSQL that is away for a while: clear errors, streams stay open, all goes on, and nothing is lost or half there", async () => {
  await acknowledged(50);
  const cluster = join(disk.path, "postgres");
  const pid = postmasterOf(disk.path)!;
  renameSync(cluster, `${cluster}-away`);
  process.kill(pid, "SIGKILL");
  const refused = await untilRefused();
  expect(refused.errors?.[0]?.extensions).toEqual({ code: "OVERLOADED", retryAfterMs: 1000 });
  const rest = await fetch(`${server.address}/_matrix/client/v3/rooms/${encodeURIComponent(roomIds[0]!)}/state`, {
    headers: { authorization: `Bearer ${alice.token}` },
  });
  expect(rest.status).toBe(503);
  expect(await rest.json()).toMatchObject({ errcode: "M_UNKNOWN", code: "OVERLOADED", retry_after_ms: 1000 });
  await until(() => senders.every(({ refusals }) => refusals.length > 0));
  renameSync(`${cluster}-away`, cluster);
  await acknowledged(50);
  expect((await alice.ask(read, { room: roomIds[0] })).errors).toBeUndefined();
  await expectAllThere();
}, 60_000);

test.skipIf(!disk.mounted)(
  disk.mounted ? "the same with a full disk" : "the same with a full disk (skipped: needs to mount a disk)",
  async () => {
    await acknowledged(20);
    const ballast = join(disk.path, "ballast");
    const piece = Buffer.alloc(1024 * 1024);
    const file = openSync(ballast, "w");
    /** Takes what is free, now and whenever something becomes so. */
    const fill = (): void => {
      try {
        for (;;) writeSync(file, piece);
      } catch {
        // Full.
      }
    };
    for (const sender of senders) sender.refusals.length = 0;
    await until(
      () => {
        fill();
        return senders.every(({ refusals }) => refusals.length > 0);
      },
      () => "the disk never filled up",
      30_000,
    );
    closeSync(file);
    rmSync(ballast);
    await acknowledged(50);
    await expectAllThere();
  },
  90_000,
);

/** Reads until the server says that it can't. */
async function untilRefused(): Promise<Answer> {
  let answer: Answer = {};
  await until(async () => {
    answer = await alice.ask(read, { room: roomIds[0] });
    return codesOf(answer).length > 0;
  });
  return answer;
}
