import { setTimeout as delay } from "node:timers/promises";
import { cpuColumns, memoryColumns } from "../columns.ts";
import { addRoom, addUsers, temporaryDataDir, withDomain } from "../data.ts";
import { Failures, percentiles } from "../load.ts";
import type { Options } from "../options.ts";
import { showProfiles } from "../profile.ts";
import { progress, rounded, type Report, type Row } from "../report.ts";
import { serverCommand, startServer } from "../server.ts";
import { markedBody } from "../peers/marks.ts";
import { subscribe } from "../subscriber.ts";
import { measure, openFilesLimit } from "../usage.ts";
import { hearthClient } from "../peers/hearth/client.ts";

const senderCount = 4;
/** Files that either process needs besides the sockets. */
const otherFiles = 200;
/** How many sockets are opened at a time. */
const openedAtOnce = 50;
/** How long after the last event deliveries are waited for. */
const patienceMs = 15_000;

/** Subscribers of one room, each a user of their own, while a few members send. */
export async function fanout(options: Options): Promise<Report> {
  const { from } = serverCommand();
  const rows: Row[] = [];
  for (const wanted of options.subscribers ?? [500, 5000]) {
    const count = Math.min(wanted, openFilesLimit() - otherFiles);
    if (count < wanted) progress(`only ${count} of ${wanted} subscribers: raise \`ulimit -n\` for more`);
    rows.push(await run(options, count, options.rate ?? (count <= 1000 ? 0 : 2)));
  }
  return { server: from, rows };
}

async function run(options: Options, count: number, rate: number): Promise<Row> {
  progress(`${count} users join a room`);
  const dataDir = await temporaryDataDir();
  const { users, roomId } = await withDomain(dataDir, async (workshop) => {
    const users = await addUsers(workshop, count);
    return { users, roomId: await addRoom(workshop, users) };
  });
  const server = await startServer(dataDir, options);
  const before = server.memory().now;

  let latencies: number[] = [];
  let limited = 0;
  const failures = new Failures();
  const sentAt = new Map<string, number>();
  const on = {
    delivered: (mark: string) => void latencies.push(performance.now() - sentAt.get(mark)!),
    limited: () => (limited += 1),
    failed: (error: Error) => failures.add(error),
  };
  progress("they subscribe");
  const opened = performance.now();
  const followers = await openAll(users, ({ authorization }) => subscribe(server.address, authorization, on));
  const subscribeSeconds = (performance.now() - opened) / 1000;
  const after = server.memory().now;

  progress(rate === 0 ? "members send as fast as they can" : `members send ${rate} events/s`);
  const senders = users.slice(0, senderCount).map(({ requester, authorization }) => {
    const client = hearthClient(server.address, requester.userId, authorization);
    return (body: string) => client.send(roomId, body);
  });
  await sendFor(options.warmup, rate, senders, sentAt, failures);
  await settled(() => latencies.length);
  latencies = [];
  limited = 0;
  const stop = measure(server.pid, server.postgresPid);
  const acknowledged = await sendFor(options.seconds, rate, senders, sentAt, failures);
  await reached(() => latencies.length, acknowledged * count);
  const measured = stop();
  const memory = server.memory();
  for (const follower of followers) follower.close();
  await server.stop();
  if (options.profile !== null) showProfiles(options.profile);
  failures.print();
  return {
    subscribers: count,
    "subscribe s": rounded(subscribeSeconds),
    "KB/subscriber": Math.round(((after - before) * 1024) / count),
    "events/s": rounded(acknowledged / measured.seconds),
    "deliveries/s": rounded(latencies.length / measured.seconds),
    ...percentiles(latencies),
    missing: acknowledged * count - latencies.length,
    limited,
    errors: failures.count,
    ...cpuColumns(measured),
    ...memoryColumns(memory),
  };
}

/** Opens for each, some at a time. */
async function openAll<Item, Opened>(items: readonly Item[], open: (item: Item) => Promise<Opened>): Promise<Opened[]> {
  const opened: Opened[] = [];
  const rest = items.values();
  const openRest = async (): Promise<void> => {
    for (const item of rest) opened.push(await open(item));
  };
  await Promise.all(Array.from({ length: openedAtOnce }, openRest));
  return opened;
}

/** Sends for some seconds, at a rate or each sender as fast as it is answered; gives how many were acknowledged. */
async function sendFor(
  seconds: number,
  rate: number,
  senders: readonly ((body: string) => Promise<unknown>)[],
  sentAt: Map<string, number>,
  failures: Failures,
): Promise<number> {
  let acknowledged = 0;
  const sendOne = async (send: (body: string) => Promise<unknown>): Promise<void> => {
    try {
      const { mark, body } = markedBody();
      sentAt.set(mark, performance.now());
      await send(body);
      acknowledged += 1;
    } catch (error) {
      failures.add(error);
      await delay(10);
    }
  };
  const started = performance.now();
  if (rate === 0) {
    const loop = async (send: (body: string) => Promise<unknown>): Promise<void> => {
      while (performance.now() - started < seconds * 1000) await sendOne(send);
    };
    await Promise.all(senders.map(loop));
    return acknowledged;
  }
  const sent: Promise<void>[] = [];
  for (let number = 0; number < seconds * rate; number++) {
    // By the clock and not after the last answer: a server that falls behind shall show it in the latencies.
    await delay(Math.max(0, started + (number * 1000) / rate - performance.now()));
    sent.push(sendOne(senders[number % senders.length]!));
  }
  await Promise.all(sent);
  return acknowledged;
}

/** Waits until as many were counted, or until no more come. */
async function reached(count: () => number, wanted: number): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (count() < wanted && performance.now() < deadline) await delay(5);
}

/** Waits until a count has stood still for a while. */
async function settled(count: () => number): Promise<void> {
  for (let last = -1; count() !== last;) {
    last = count();
    await delay(500);
  }
}
