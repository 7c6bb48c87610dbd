import { setTimeout as delay } from "node:timers/promises";
import { alternate, type Case } from "../alternate.ts";
import { cpuColumns, memoryColumns } from "../columns.ts";
import { comparison } from "../compare.ts";
import { Deliveries } from "../deliveries.ts";
import type { Options } from "../options.ts";
import { followersPossible, roomOf } from "../peers/followers.ts";
import type { Client, Peer } from "../peers/peer.ts";
import { startPeers, stopPeers } from "../peers/peers.ts";
import { rounded, type Report, type Row } from "../report.ts";
import { quantile } from "../rounds.ts";
import { program } from "../../scripts/program.ts";
import { measure } from "../usage.ts";

const senderCount = 4;
/** So that there is something to take percentiles of where a server delivers few events a second. */
const fewestEvents = 5;
const bigRate = 20;

/**
 * Followers of one room, each a user of their own, while a few members send: as fast as they are acknowledged, then at
 * half the deliveries a second that this made. And many more followers, at a fixed rate.
 */
export async function fanout(options: Options): Promise<Report> {
  const [small = 500, big] = options.subscribers ?? [500, 5000];
  const count = followersPossible(small);
  const rows = await rowsOf(options, count, fastCase(options, count));
  const tables = comparison(rows, [
    { case: rows[0]!.case as string, figure: "deliveries/s", better: "higher", goal: 50 },
    { case: rows[0]!.case as string, figure: "half: acknowledged p99 ms", better: "lower" },
  ]);
  if (big !== undefined) {
    const many = followersPossible(big);
    rows.push(...(await rowsOf({ ...options, peer: null }, many, rateCase(options, many, options.rate ?? bigRate))));
  }
  return { server: program().from, rows, tables };
}

async function rowsOf(options: Options, count: number, each: Case): Promise<Row[]> {
  const peers = await startPeers(options, roomOf(count));
  const rows = await alternate(peers, [each], options);
  await stopPeers(peers);
  return rows;
}

function fastCase(options: Options, count: number): Case {
  return {
    name: `${count} followers, as fast as acknowledged`,
    async run(peer) {
      const deliveries = new Deliveries();
      await deliveries.follow(peer.clients);
      await sendFor(options.warmup, 0, peer, deliveries);
      await deliveries.settled();
      const fast = await deliver(options.seconds, 0, peer, deliveries);
      const half = Number(fast["deliveries/s"]) / count / 2;
      const slow = await deliver(Math.max(options.seconds, fewestEvents / half), half, peer, deliveries);
      deliveries.close();
      deliveries.failures.print();
      return {
        ...fast,
        "half: deliveries/s": slow["deliveries/s"]!,
        "half: sent p99 ms": slow["sent p99 ms"]!,
        "half: acknowledged p50 ms": slow["acknowledged p50 ms"]!,
        "half: acknowledged p99 ms": slow["acknowledged p99 ms"]!,
        "half: missing": slow.missing!,
        ...memoryColumns(peer.memory()),
      };
    },
  };
}

function rateCase(options: Options, count: number, rate: number): Case {
  return {
    name: `${count} followers, ${rate} events/s`,
    async run(peer) {
      const deliveries = new Deliveries();
      await deliveries.follow(peer.clients);
      await sendFor(options.warmup, rate, peer, deliveries);
      await deliveries.settled();
      const figures = await deliver(options.seconds, rate, peer, deliveries);
      deliveries.close();
      deliveries.failures.print();
      return { ...figures, ...memoryColumns(peer.memory()) };
    },
  };
}

/** Sends for some seconds and waits for what follows from it. */
async function deliver(
  seconds: number,
  rate: number,
  peer: Peer,
  deliveries: Deliveries,
): Promise<Record<string, number>> {
  deliveries.reset();
  const stop = measure(peer.pid, peer.postgresPid);
  const started = performance.now();
  const acknowledged = await sendFor(seconds, rate, peer, deliveries);
  await deliveries.reached(acknowledged * peer.clients.length);
  const measured = stop();
  const taken = (deliveries.last() - started) / 1000;
  const [sent, answered] = [deliveries.sinceSent(), deliveries.sinceAcknowledged()];
  return {
    "events/s": rounded(acknowledged / taken),
    "deliveries/s": rounded(deliveries.count / taken),
    "sent p50 ms": rounded(quantile(sent, 0.5)),
    "sent p99 ms": rounded(quantile(sent, 0.99)),
    "acknowledged p50 ms": rounded(quantile(answered, 0.5)),
    "acknowledged p99 ms": rounded(quantile(answered, 0.99)),
    missing: acknowledged * peer.clients.length - deliveries.count,
    limited: deliveries.limited,
    errors: deliveries.failures.count,
    ...cpuColumns(measured),
  };
}

/** Sends for some seconds, at a rate or each sender as fast as it is answered; gives how many were acknowledged. */
async function sendFor(
  seconds: number,
  rate: number,
  { clients, rooms: [roomId] }: Peer,
  deliveries: Deliveries,
): Promise<number> {
  const senders = clients.slice(0, senderCount);
  let acknowledged = 0;
  const sendOne = async (client: Client): Promise<void> => {
    if (await deliveries.send(client, roomId!)) acknowledged += 1;
    // A server that refuses everything shall not be hammered.
    else await delay(10);
  };
  const started = performance.now();
  if (rate === 0) {
    const loop = async (client: Client): Promise<void> => {
      while (performance.now() - started < seconds * 1000) await sendOne(client);
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
