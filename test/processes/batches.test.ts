import { afterAll, beforeAll, expect, test } from "vitest";
import { freshDatabase } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";
import { Reader } from "./support/reader.ts";
import { acknowledgedBy, Sender } from "./support/sender.ts";
import { startServer, type ServerProcess } from "./support/serverProcess.ts";

const writerCount = 8;
const batchCount = 12;

let databaseUrl: string;
let servers: ServerProcess[];
let alice: Client;
let bob: Client;
let roomId: string;

beforeAll(async () => {
  databaseUrl = await freshDatabase();
  const settings = { DATABASE_URL: databaseUrl, HEARTH_STREAM_REPLAY: "100000", HEARTH_STREAM_BACKLOG: "100000" };
  servers = await Promise.all([startServer(settings), startServer(settings)]);
  alice = await Client.register(servers[0]!.address, "alice");
  bob = await Client.register(servers[1]!.address, "bob");
  roomId = await alice.createRoom({ joinRule: "PUBLIC" });
  await bob.join(roomId);
});

afterAll(async () => {
  const codes = await Promise.all((servers ?? []).map((server) => server.stop()));
  expect(codes).toEqual([0, 0]);
});

/** The same user and device, asking one of the two servers. */
function at(number: number, { token, userId, deviceId }: Client): Client {
  return new Client(servers[number % 2]!.address, token, userId, deviceId);
}

/** A batch of messages or of states, by one server and the other; gives its events in the answer's order. */
async function batch(number: number): Promise<string[]> {
  const events = Array.from({ length: 100 }, (_, n) => `batch ${number}, ${n}`);
  const asked =
    number % 3 === 2
      ? {
          name: "setStates",
          more: { states: events.map((body, n) => ({ type: "x", stateKey: `_${n % 40}`, content: { body } })) },
        }
      : { name: "sendMessages", more: { messages: events.map((body) => ({ content: { text: { body } } })) } };
  const type = `${asked.name[0]!.toUpperCase()}${asked.name.slice(1)}Input`;
  const data = await at(number, alice).do<{ batch: { events: { id: string }[] } }>(
    `mutation ($input: ${type}!) { batch: ${asked.name}(input: $input) { events { id } } }`,
    { input: { roomId, actionId: `batch ${number}`, ...asked.more } },
  );
  return data.batch.events.map((event) => event.id);
}

/** Whether these stand together, in this order. */
function together(ids: readonly string[], all: readonly string[]): boolean {
  const first = all.indexOf(ids[0]!);
  return first >= 0 && ids.every((id, n) => all[first + n] === id);
}

test("[ACT-7, ACT-8] batches stay together while eight others write by two processes: stored, in the room and on streams", async () => {
  const readers = [new Reader(alice), new Reader(bob)];
  await Promise.all(readers.map((reader, number) => reader.connect(servers[number]!.address)));
  const senders = Array.from(
    { length: writerCount },
    (_, number) =>
      new Sender({
        user: number % 4 < 2 ? alice : bob,
        name: `writer${number}`,
        roomIds: [roomId],
        address: () => Promise.resolve(servers[number % 2]!.address),
      }),
  );
  for (const sender of senders) sender.start();
  await until(() => senders.every((sender) => sender.acknowledged.size > 0));

  const batches: string[][] = [];
  // Two at a time, so that they meet each other as well, and always both servers'.
  for (let number = 0; number < batchCount; number += 2) {
    const before = acknowledgedBy(senders);
    batches.push(...(await Promise.all([batch(number), batch(number + 1)])));
    await until(() => acknowledgedBy(senders) > before + writerCount);
  }
  await Promise.all(senders.map((sender) => sender.finish()));
  expect(senders.flatMap((sender) => sender.refusals)).toEqual([]);

  const rows = await sql<{ event_id: string; position: number }>(
    databaseUrl,
    "SELECT event_id, position::integer FROM event WHERE room_id = $1 ORDER BY position",
    [roomId],
  );
  const positions = new Map(rows.map((row) => [row.event_id, row.position]));
  const stored = rows.map((row) => row.event_id);
  const timeline = await bob.timeline(roomId);
  for (const ids of batches) {
    expect(ids).toHaveLength(100);
    expect(ids.map((id) => positions.get(id))).toEqual(ids.map((_, n) => positions.get(ids[0]!)! + n));
    expect(together(ids, stored)).toBe(true);
    expect(together(ids, timeline)).toBe(true);
  }
  // Others did write in between the batches.
  const firsts = batches.map((ids) => stored.indexOf(ids[0]!)).toSorted((a, b) => a - b);
  expect(firsts.some((first, n) => n > 0 && first > firsts[n - 1]! + 100)).toBe(true);

  const messageBatches = batches.filter((_, number) => number % 3 < 2);
  for (const reader of readers) {
    await reader.has(acknowledgedBy(senders) + 100 * messageBatches.length);
    await until(() => batches.every((ids) => reader.events.some((event) => event.id === ids.at(-1))));
    await reader.finish();
    const seen = reader.events.map((event) => event.id);
    for (const ids of batches) expect(together(ids, seen)).toBe(true);
  }
});
