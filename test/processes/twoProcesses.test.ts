import { afterAll, beforeAll, expect, test } from "vitest";
import { freshDatabase } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { Reader } from "./support/reader.ts";
import { acknowledgedBy, Sender } from "./support/sender.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

const roomCount = 3;
const writerCount = 8;
const readerCount = 10;
const loadMs = 5_000;

let databaseUrl: string;
let servers: ServerProcess[];
let alice: Client;
let bob: Client;

beforeAll(async () => {
  databaseUrl = await freshDatabase();
  const settings = { DATABASE_URL: databaseUrl, HEARTH_STREAM_REPLAY: "100000", HEARTH_STREAM_BACKLOG: "100000" };
  servers = await Promise.all([startServer(settings), startServer(settings)]);
  alice = await Client.register(address(0), "alice");
  bob = await Client.register(address(1), "bob");
});

afterAll(async () => {
  const codes = await Promise.all((servers ?? []).map((server) => server.stop()));
  expect(codes).toEqual([0, 0]);
});

/** Of the two servers in turn. */
function address(number: number): string {
  return servers[number % 2]!.address;
}

/** The user, asking the other server. */
function at(number: number, user: Client): Client {
  return new Client(address(number), user.token, user.userId, user.deviceId);
}

async function sharedRoom(): Promise<string> {
  const roomId = await alice.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
  return roomId;
}

/** Ids of the messages of these rooms in the order of the store. */
async function storedMessages(roomIds: readonly string[]): Promise<string[]> {
  const rows = await sql<{ event_id: string }>(
    databaseUrl,
    "SELECT event_id FROM event WHERE room_id = ANY ($1) AND type = 'm.room.message' ORDER BY position",
    [roomIds],
  );
  return rows.map((row) => row.event_id);
}

test("[STR-3] eight writers and ten followers over two processes: no gap, no repeat, one order", async () => {
  const roomIds = await Promise.all(Array.from({ length: roomCount }, sharedRoom));
  const readers = Array.from({ length: readerCount }, (_, number) => new Reader(number % 4 < 2 ? alice : bob));
  await Promise.all(readers.map((reader, number) => reader.connect(address(number))));
  const senders = Array.from(
    { length: writerCount },
    (_, number) =>
      new Sender({
        user: number % 4 < 2 ? alice : bob,
        name: `writer${number}`,
        roomIds,
        address: () => Promise.resolve(address(number)),
      }),
  );
  for (const sender of senders) sender.start();

  // Three of the ten move to and fro between the processes as long as the load lasts.
  const end = Date.now() + loadMs;
  await Promise.all(
    readers.slice(0, 3).map(async (reader, number) => {
      for (let turn = 1; Date.now() < end; turn++) {
        await reader.has(reader.messages.length + 20);
        await reader.disconnect();
        await reader.connect(address(number + turn));
      }
    }),
  );
  await Promise.all(senders.map((sender) => sender.finish()));
  await Promise.all(readers.map((reader) => reader.has(acknowledgedBy(senders))));
  await Promise.all(readers.map((reader) => reader.finish()));

  const stored = await storedMessages(roomIds);
  expect(senders.flatMap((sender) => sender.refusals)).toEqual([]);
  expect(new Set(senders.flatMap((sender) => [...sender.acknowledged.values()]))).toEqual(new Set(stored));
  expect(stored).toHaveLength(acknowledgedBy(senders));
  for (const reader of readers) {
    expect(reader.messages.map((event) => event.id)).toEqual(stored);
    expect(reader.limited).toBe(false);
  }
  for (const reader of readers.slice(0, 3)) expect(reader.connections).toBeGreaterThan(3);
});

test("[STR-3] [EVS-3] a token that one process just gave is good on the other at once", async () => {
  const roomId = await sharedRoom();
  const reader = new Reader(bob);
  await reader.connect(address(0));
  const sent: string[] = [];
  for (let turn = 0; turn < 40; turn++) {
    // One event by the process that gives the token, and one by the other while nobody is connected.
    sent.push(await at(turn, alice).send(roomId, `seen ${turn}`));
    await reader.has(sent.length);
    await reader.disconnect();
    const [unseen] = await Promise.all([
      at(turn, alice).send(roomId, `unseen ${turn}`),
      reader.connect(address(turn + 1)),
    ]);
    sent.push(unseen);
  }
  await reader.has(sent.length);
  await reader.finish();
  expect(reader.messages.map((event) => event.id)).toEqual(sent);
  expect(reader.limited).toBe(false);
});

test("[STR-3] [EV-9] joins and leaves on one process decide at once what streams on the other bring", async () => {
  const roomId = await sharedRoom();
  const carol = await Client.register(address(1), "carol");
  const reader = new Reader(carol);
  await reader.connect(address(1));
  const meant: string[] = [];
  for (let turn = 0; turn < 15; turn++) {
    await at(turn, carol).join(roomId);
    meant.push(await alice.send(roomId, `in ${turn}`));
    await at(turn, carol).leave(roomId);
    await at(turn, alice).send(roomId, `out ${turn}`);
  }
  await reader.has(meant.length);
  await reader.finish();
  expect(reader.messages.map((event) => event.id)).toEqual(meant);
});

test("[STR-3] a process that was stopped for a while catches up and goes on in order", async () => {
  const roomId = await sharedRoom();
  const reader = new Reader(bob);
  await reader.connect(address(1));
  const sent: string[] = [];
  servers[1]!.pause();
  try {
    for (let number = 0; number < 50; number++) sent.push(await at(0, alice).send(roomId, `meanwhile ${number}`));
  } finally {
    servers[1]!.resume();
  }
  sent.push(await at(1, alice).send(roomId, "afterwards"));
  await reader.has(sent.length);
  await reader.finish();
  expect(reader.messages.map((event) => event.id)).toEqual(sent);
});
