import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isAlive } from "../../src/store/embedded/process.ts";
import { Client } from "../kit/client.ts";
import { until } from "../kit/until.ts";
import { postmasterOf } from "./support/postmaster.ts";
import { Reader } from "./support/reader.ts";
import { acknowledgedBy, Sender } from "./support/sender.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

const rounds = Number(process.env["HEARTH_SOAK_ROUNDS"] ?? 3);
const senderCount = 6;
const readerCount = 4;
/** Messages that are acknowledged before each kill. */
const messagesPerRound = 150;

let dataDir: string;
let server: ServerProcess;
let port: string;
/** Senders and readers turn to it only while it runs. */
let running = false;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "hearth-kill-"));
  // As root, PostgreSQL runs under another account; unless that may enter, the cluster would be kept elsewhere.
  await chmod(dataDir, 0o755);
  await start();
});

afterAll(async () => {
  await server?.kill();
  const database = postmasterOf(dataDir);
  kill(database);
  await until(() => database === null || !isAlive(database));
  await rm(dataDir, { recursive: true, force: true });
});

async function start(): Promise<void> {
  // Nothing may be left out on purpose, however far a reader falls behind.
  const unlimited = { HEARTH_STREAM_REPLAY: "100000", HEARTH_STREAM_BACKLOG: "100000" };
  server = await startServer({ HEARTH_DATA_DIR: dataDir, HEARTH_PORT: port ?? "0", ...unlimited });
  port = new URL(server.address).port;
  running = true;
}

async function address(): Promise<string> {
  await until(
    () => running,
    () => "the server didn't come back",
    60_000,
  );
  return server.address;
}

function kill(processId: number | null): void {
  if (processId !== null && isAlive(processId)) process.kill(processId, "SIGKILL");
}

test(
  "[STR-3] [ACT-2] killed under load again and again, the server loses and doubles nothing",
  { timeout: 40_000 + 15_000 * rounds },
  async () => {
    const alice = await Client.register(server.address, "alice");
    const bob = await Client.register(server.address, "bob");
    const roomIds = [await alice.createRoom({ joinRule: "PUBLIC" }), await alice.createRoom({ joinRule: "PUBLIC" })];
    for (const roomId of roomIds) await bob.join(roomId);
    const beginnings = await Promise.all(roomIds.map((roomId) => alice.timeline(roomId)));

    const readers = Array.from({ length: readerCount }, (_, number) => new Reader(number % 2 === 0 ? alice : bob));
    for (const reader of readers) reader.keepFollowing(address);
    await until(() => readers.every((reader) => reader.token !== null));
    const senders = Array.from(
      { length: senderCount },
      (_, number) => new Sender({ user: number % 2 === 0 ? alice : bob, name: `sender${number}`, roomIds, address }),
    );
    for (const sender of senders) sender.start();

    for (let round = 1; round <= rounds; round++) {
      const before = acknowledgedBy(senders);
      await until(
        () => acknowledgedBy(senders) >= before + messagesPerRound,
        () => `${acknowledgedBy(senders)} messages were acknowledged; refused: ${senders.map((each) => each.refusals)}`,
        20_000,
      );
      running = false;
      // The database goes down with the server once, in the middle of its commits.
      if (round === 2) kill(postmasterOf(dataDir));
      await server.kill();
      await start();
    }
    for (const sender of senders) await sender.finish();

    const acknowledged = new Map(senders.flatMap((sender) => [...sender.acknowledged]));
    expect(senders.reduce((sum, { unanswered }) => sum + unanswered, 0)).toBeGreaterThan(0);
    for (const reader of readers) await reader.has(acknowledged.size);
    for (const reader of readers) await reader.finish();

    for (const reader of readers) {
      expect(reader.limited).toBe(false);
      expect(reader.connections).toBeGreaterThan(rounds);
      // By body, which is the action id: exactly one event each, and the one that was acknowledged.
      expect(reader.messages).toHaveLength(acknowledged.size);
      expect(new Map(reader.messages.map(({ id, content }) => [content?.["body"], id]))).toEqual(acknowledged);
    }
    for (const [index, roomId] of roomIds.entries()) {
      const timeline = await alice.timeline(roomId);
      for (const reader of readers) {
        const followed = reader.messages.filter((event) => event.roomId === roomId).map((event) => event.id);
        expect([...beginnings[index]!, ...followed]).toEqual(timeline);
      }
    }

    const database = postmasterOf(dataDir);
    expect(await server.stop()).toBe(0);
    expect(isAlive(database!)).toBe(false);
  },
);
