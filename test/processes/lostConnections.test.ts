import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lockAppending } from "../../src/store/append.ts";
import { startApp, type TestApp } from "../kit/app.ts";
import { Client } from "../kit/client.ts";
import { sql } from "../kit/database.ts";
import { until } from "../kit/until.ts";
import { startLossyProxy } from "./support/lossyProxy.ts";
import { Reader } from "./support/reader.ts";
import { acknowledgedBy, Sender } from "./support/sender.ts";

const config = { streamReplay: 100_000, streamBacklog: 100_000 };
const cuts = Number(process.env["HEARTH_SOAK_ROUNDS"] ?? 3) * 15;

let server: TestApp;
let alice: Client;
let roomId: string;
let reader: Reader;
let control: pg.Client;
const started: Sender[] = [];

beforeEach(async () => {
  server = await startApp({ config });
  alice = await server.user("alice");
  roomId = await alice.createRoom();
  reader = new Reader(alice);
  await reader.connect(server.address);
  control = new pg.Client({ connectionString: server.databaseUrl });
  await control.connect();
});

afterEach(async () => {
  await control.end();
  await Promise.all(started.splice(0).map((sender) => sender.finish()));
  await reader.finish();
  await server.close();
});

function startSenders(count: number, withActionIds: boolean): Sender[] {
  const name = withActionIds ? "repeating" : "once";
  return Array.from({ length: count }, (_, number) => {
    const address = (): Promise<string> => Promise.resolve(server.address);
    const sender = new Sender({ user: alice, name: `${name}${number}`, roomIds: [roomId], address, withActionIds });
    sender.start();
    started.push(sender);
    return sender;
  });
}

/** Ends the writer's session, whatever it is doing; false when it had none. */
async function cutWriter(): Promise<boolean> {
  const { rowCount } = await control.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ~ 'append_(batch|lock)'`,
  );
  return rowCount! > 0;
}

async function storedMessages(): Promise<{ id: string; body: string }[]> {
  return sql(
    server.databaseUrl,
    "SELECT event_id AS id, content::jsonb ->> 'body' AS body FROM event WHERE type = 'm.room.message' ORDER BY position",
  );
}

/** Acknowledged is stored, nothing is stored twice, and the stream brought just what is stored. */
async function expectConsistent(senders: readonly Sender[]): Promise<void> {
  const stored = await storedMessages();
  await reader.has(stored.length);
  expect(reader.messages.map((event) => event.id)).toEqual(stored.map((event) => event.id));
  const byBody = new Map(stored.map(({ id, body }) => [body, id]));
  expect(byBody.size).toBe(stored.length);
  for (const sender of senders) {
    for (const [body, eventId] of sender.acknowledged) expect(byBody.get(body)).toBe(eventId);
  }
}

test("[STR-3] [ACT-2] the writer's connection may be cut at any moment: nothing is lost, doubled or refused for good", async () => {
  const repeating = startSenders(5, true);
  const once = startSenders(3, false);
  const senders = [...repeating, ...once];
  for (let cut = 0; cut < cuts; cut++) {
    // Sometimes twice in a row, so that looking what became of a lost batch is cut as well.
    const before = acknowledgedBy(senders);
    await until(cutWriter);
    if (cut % 3 > 0) await until(cutWriter);
    if (cut % 3 > 1) await until(cutWriter);
    await until(() => acknowledgedBy(senders) > before);
  }
  await Promise.all(senders.map((sender) => sender.finish()));
  await expectConsistent(senders);
  // Whoever repeats gets through, and whoever doesn't is only ever told that it may.
  for (const sender of repeating) expect(sender.acknowledged.size).toBe(sender.sent.size);
  expect(senders.flatMap((sender) => sender.refusals).filter((code) => code !== "OVERLOADED")).toEqual([]);
});

test("[STR-3] [ACT-2] an answer that is lost after the commit is found again, however often the looking fails", async () => {
  const proxy = await startLossyProxy(server.databaseUrl);
  const behind = await startApp({ config, databaseUrl: proxy.url });
  const remote = new Client(behind.address, alice.token, alice.userId, alice.deviceId);
  const ordinaryRoom = await alice.timeline(await alice.createRoom({ joinRule: "PUBLIC" }));
  const looking = "append_lock()::text";
  for (const failures of [0, 1, 2]) {
    const lost = ["append_batch(", ...Array.from({ length: failures }, () => looking)];
    // Without an action id, so that nothing but the looking can tell that it is there.
    proxy.loseAnswersTo(...lost);
    const eventId = await remote.send(roomId, `no id ${failures}`);
    expect(proxy.pending).toBe(0);
    // Answered is passed: the next read shows it.
    expect((await remote.timeline(roomId)).at(-1)).toBe(eventId);

    proxy.loseAnswersTo(...lost);
    const withActionId = await remote.send(roomId, `an id ${failures}`, `id${failures}`);
    expect(proxy.pending).toBe(0);
    expect(await alice.send(roomId, `an id ${failures}`, `id${failures}`)).toBe(withActionId);

    // A unit that moves the auth version finds the room changed, by nobody but itself.
    proxy.loseAnswersTo(...lost);
    const madeRoom = await remote.createRoom({ joinRule: "PUBLIC" });
    expect(proxy.pending).toBe(0);
    expect((await remote.timeline(madeRoom)).length).toBe(ordinaryRoom.length);
    proxy.loseAnswersTo(...lost);
    const levels = await remote.setState(madeRoom, "m.room.power_levels", {
      users: { [alice.userId]: 100 },
      invite: 40,
    });
    expect(proxy.pending).toBe(0);
    expect(await remote.timeline(madeRoom)).toHaveLength(ordinaryRoom.length + 1);
    expect((await remote.timeline(madeRoom)).at(-1)).toBe(levels);
  }
  const stored = await storedMessages();
  await reader.has(stored.length);
  expect(reader.messages.map((event) => event.id)).toEqual(stored.map((event) => event.id));
  expect(new Set(stored.map((event) => event.body)).size).toBe(stored.length);
  expect(behind.errors).toEqual([]);
  await behind.close();
  await proxy.close();
});

test("[STR-3] while its database is away a process asks for it at a measured pace, and misses nothing afterwards", async () => {
  const proxy = await startLossyProxy(server.databaseUrl);
  const behind = await startApp({ config, databaseUrl: proxy.url });
  const follower = new Reader(alice);
  await follower.connect(behind.address);
  proxy.shutOut();
  const began = Date.now();
  const before = proxy.attempts;
  const sent: string[] = [];
  await until(async () => {
    sent.push(await alice.send(roomId, `away ${sent.length}`));
    return Date.now() > began + 2_000;
  });
  // One listener tries four times a second, and what else wants to read does so at times; they must not breed. Bred, they
  // would be hundreds. How long this took depends on the machine.
  const seconds = (Date.now() - began) / 1000;
  expect((proxy.attempts - before) / seconds).toBeLessThan(20);
  proxy.admit();
  await follower.has(sent.length);
  expect(follower.messages.map((event) => event.id)).toEqual(sent);
  await follower.finish();
  await behind.close();
  await proxy.close();
});

test("[STR-3] while somebody holds the append lock senders wait, and then all goes on", async () => {
  await control.query("BEGIN");
  await control.query("SELECT append_lock()");
  const senders = startSenders(5, true);
  const waiting = `SELECT query_start::text FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'advisory' AND query LIKE '%append_batch%'`;
  // On another connection, since a transaction sees the activity of its first look only.
  const began = async (): Promise<string | undefined> =>
    (await sql<{ query_start: string }>(server.databaseUrl, waiting))[0]?.query_start;
  await until(async () => (await began()) !== undefined);
  // Longer than a statement may take: the batch is cancelled and tried again.
  const first = await began();
  await until(
    async () => ![first, undefined].includes(await began()),
    () => "the batch wasn't tried again",
    15_000,
  );
  expect(acknowledgedBy(senders)).toBe(0);
  await control.query("COMMIT");
  await until(() => acknowledgedBy(senders) > 50);
  await Promise.all(senders.map((sender) => sender.finish()));
  await expectConsistent(senders);
  expect(senders.flatMap((sender) => sender.refusals)).toEqual([]);
});

test("[STR-3] a process that stalls with the append lock is cut off, and the others go on", async () => {
  const stalled = await startApp({ config, databaseUrl: server.databaseUrl });
  let senders: Sender[] = [];
  const holding = stalled.database.writer.$transaction(
    async (connection) => {
      await lockAppending(connection);
      senders = startSenders(5, true);
      await until(() => acknowledgedBy(senders) > 50);
      // It wakes up, and may not act as if nothing had happened.
      await lockAppending(connection);
    },
    { timeout: 20_000 },
  );
  await expect(holding).rejects.toThrow();
  await Promise.all(senders.map((sender) => sender.finish()));
  await expectConsistent(senders);
  // Its writer connects anew.
  const other = await stalled.app.domain.tools.writer.append({
    ...{ roomId, version: -1, nextVersion: null, newRoom: null, action: null, answerIds: [], events: [] },
  });
  expect(other.outcome).toBe("stale");
  await stalled.close();
});
