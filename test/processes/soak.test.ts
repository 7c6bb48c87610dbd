/** Three servers on one database, one of them of two workers, that end at any time while others send and follow. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { freshDatabase } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { startService, type ScriptedService } from "../kit/scriptedService.ts";
import { until } from "../kit/until.ts";
import { Reader } from "./support/reader.ts";
import { acknowledgedBy, Sender } from "./support/sender.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

/** Ten minutes before a release; a short form otherwise. */
const soakMs = 1000 * Number(process.env["HEARTH_SOAK_SECONDS"] ?? 5);
const roomCount = 3;
const senderCount = 6;
const readerCount = 6;

let databaseUrl: string;
let directory: string;
let service: ScriptedService;
const settings: Record<string, string>[] = [{}, {}, { HEARTH_WORKERS: "2" }];
const servers: ServerProcess[] = [];
/** Whether somebody may turn to it. */
const up = [false, false, false];

beforeAll(async () => {
  databaseUrl = await freshDatabase();
  directory = await mkdtemp(join(tmpdir(), "hearth-soak-"));
  service = await startService();
  const { content } = service.registration({ namespaces: { aliases: [{ exclusive: false, regex: "#irc_.*" }] } });
  await writeFile(join(directory, "irc.yaml"), stringify(content));
  await Promise.all(settings.map((_, number) => start(number)));
});
afterAll(async () => {
  await Promise.all(servers.map(async (server) => server.ended || (await server.kill())));
  await service?.close();
  await rm(directory, { recursive: true, force: true });
});

async function start(number: number): Promise<void> {
  const before = servers[number];
  servers[number] = await startServer({
    DATABASE_URL: databaseUrl,
    HEARTH_APPSERVICES: join(directory, "irc.yaml"),
    HEARTH_PORT: before === undefined ? "0" : new URL(before.address).port,
    // Nothing may be left out on purpose, however far a reader falls behind.
    ...{ HEARTH_STREAM_REPLAY: "100000", HEARTH_STREAM_BACKLOG: "100000" },
    ...settings[number],
  });
  up[number] = true;
}

/** Of the preferred server while it is there, else of another. */
async function address(preferred: number): Promise<string> {
  const inOrder = [0, 1, 2].map((step) => (preferred + step) % 3);
  await until(() => up.some(Boolean), undefined, 60_000);
  return servers[inOrder.find((number) => up[number])!]!.address;
}

const perils: Record<string, (number: number) => Promise<void>> = {
  async killed(number) {
    up[number] = false;
    await servers[number]!.kill();
    await start(number);
  },
  async stopped(number) {
    up[number] = false;
    expect(await servers[number]!.stop()).toBe(0);
    await start(number);
  },
  /** Clients of a server that stands still wait, and find what they did when it goes on. */
  async suspended(number) {
    servers[number]!.pause();
    await delay(500 + Math.random() * 1500);
    servers[number]!.resume();
  },
  async "short of a worker"() {
    const workers = servers[2]!.workers();
    if (up[2] && workers.length > 0) process.kill(workers[Math.floor(Math.random() * workers.length)]!, "SIGKILL");
    await delay(300);
  },
};

/** Until the time is over something happens to one server after the other. */
async function trouble(): Promise<void> {
  const end = performance.now() + soakMs;
  const names = Object.keys(perils);
  // Each once, and then as it comes.
  for (let turn = 0; turn < names.length || performance.now() < end; turn++) {
    const name = names[turn < names.length ? turn : Math.floor(Math.random() * names.length)]!;
    await delay(Math.random() * 500);
    await perils[name]!(Math.floor(Math.random() * 3));
  }
}

test(
  "[STR-3] [ACT-2] [AS-5] servers that end at any time, and their workers: no gap, no repeat, one order, for streams and services",
  { timeout: 120_000 + 2 * soakMs },
  async () => {
    const alice = await Client.register(await address(0), "alice");
    const bob = await Client.register(await address(1), "bob");
    const roomIds = [await alice.createRoom({ joinRule: "PUBLIC", alias: "#irc_room:localhost" })];
    while (roomIds.length < roomCount) roomIds.push(await alice.createRoom({ joinRule: "PUBLIC" }));
    for (const roomId of roomIds) await bob.join(roomId);
    const users = [alice, bob];

    const readers = Array.from({ length: readerCount }, (_, number) => new Reader(users[number % 2]!));
    readers.forEach((reader, number) => reader.keepFollowing(() => address(number)));
    await until(() => readers.every(({ token }) => token !== null));
    const senders = Array.from(
      { length: senderCount },
      (_, number) =>
        new Sender({ user: users[number % 2]!, name: `sender${number}`, roomIds, address: () => address(number) }),
    );
    for (const sender of senders) sender.start();
    await trouble();
    for (const sender of senders) await sender.finish();

    const stored = await sql<{ event_id: string; room_id: string }>(
      databaseUrl,
      "SELECT event_id, room_id FROM event WHERE room_id = ANY ($1) AND type = 'm.room.message' ORDER BY position",
      [roomIds],
    );
    const ids = stored.map((row) => row.event_id);
    const acknowledged = senders.flatMap((sender) => [...sender.acknowledged.values()]);
    expect(new Set(acknowledged)).toEqual(new Set(ids));
    expect(ids).toHaveLength(acknowledgedBy(senders));
    for (const reader of readers) await reader.has(ids.length);
    for (const reader of readers) await reader.finish();
    for (const reader of readers) {
      expect(reader.limited).toBe(false);
      expect(reader.messages.map(({ id }) => id)).toEqual(ids);
    }
    // Whoever had the service's queue last, another has taken it over. [AS-5]
    const queued = stored.filter((row) => row.room_id === roomIds[0]).map((row) => row.event_id);
    const heard = (): string[] =>
      service.events().flatMap((event) => (event.type === "m.room.message" ? [event.event_id] : []));
    await until(
      () => heard().length >= queued.length,
      () => `heard ${heard().length} of ${queued.length}`,
      20_000,
    );
    expect(heard()).toEqual(queued);
  },
);
