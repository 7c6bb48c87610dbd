import { setTimeout as delay } from "node:timers/promises";
import { closedLoop } from "../load.ts";
import type { Options } from "../options.ts";
import { hearth } from "../peers/hearth/hearth.ts";
import type { Client } from "../peers/peer.ts";
import { rounded, type Report, type Row } from "../report.ts";
import { quantile } from "../rounds.ts";
import { program } from "../../scripts/program.ts";

/** Clients that find the maximum, and of which as many try to send twice as much. */
const closedClients = 256;
const openClients = 2000;
const goal = 0.8;

/**
 * What a server sends whose clients want twice as much as it can: first the maximum, by clients that wait for each
 * answer; then twice that rate, whether answers come or not. Who is told that the server is busy goes on with the next.
 */
export async function overload(options: Options): Promise<Report> {
  const count = options.clients ?? openClients;
  const kind = hearth(options, "hearth", { HEARTH_MAX_OPERATIONS: "500" });
  const { rooms, ...peer } = await kind.start({
    users: count,
    rooms: Array.from({ length: count }, (_, number) => ({ members: [number], messagesEach: 0 })),
  });
  const maxima: number[] = [];
  const shares: number[] = [];
  const rows: Row[] = [];
  for (let round = 1; round <= (options.rounds ?? 3); round++) {
    const callers = peer.clients
      .slice(0, closedClients)
      .map((client, number) => () => client.send(rooms[number]!, "as fast as it goes"));
    const { latencies } = await closedLoop(callers, options, { begin: () => undefined, end: () => undefined });
    const maximum = latencies.length / options.seconds;
    const open = await openLoop(peer.clients, rooms, 2 * maximum, options);
    maxima.push(maximum);
    shares.push(open.sent / maximum);
    rows.push({
      round,
      "maximum/s": rounded(maximum),
      "offered/s": rounded(open.offered),
      "sent/s": rounded(open.sent),
      "busy/s": rounded(open.busy),
      "p50 ms": rounded(open.p50),
      "p99 ms": rounded(open.p99),
      "busy p50 ms": rounded(open.busyP50),
      "busy p99 ms": rounded(open.busyP99),
      share: rounded(open.sent / maximum),
    });
  }
  const memory = peer.memory();
  await peer.stop();
  const share = quantile(shares, 0.5);
  return {
    server: program().from,
    rows,
    tables: [
      {
        title: "Medians",
        rows: [
          { share: rounded(share), goal, met: share >= goal ? "yes" : "NO", "peak MB": memory.peak, clients: count },
        ],
      },
    ],
  };
}

interface Open {
  offered: number;
  sent: number;
  busy: number;
  p50: number;
  p99: number;
  /** How long it took until somebody was told that the server is busy. */
  busyP50: number;
  busyP99: number;
}

/** Sends at a rate by whichever client is free, for as long as there is one. Figures are per second. */
async function openLoop(
  clients: readonly Client[],
  rooms: readonly string[],
  rate: number,
  { warmup, seconds }: Options,
): Promise<Open> {
  const free = clients.map((_, number) => number);
  const latencies: number[] = [];
  const refusals: number[] = [];
  let offered = 0;
  let measuring = false;
  const underWay = new Set<Promise<void>>();
  const send = async (number: number): Promise<void> => {
    const begun = performance.now();
    try {
      await clients[number]!.send(rooms[number]!, "more than it can");
      if (measuring) latencies.push(performance.now() - begun);
    } catch {
      if (measuring) refusals.push(performance.now() - begun);
    }
    free.push(number);
  };
  const begun = performance.now();
  const end = begun + 1000 * (warmup + seconds);
  let due = 0;
  for (let now = begun; now < end; now = performance.now()) {
    measuring = now >= begun + 1000 * warmup;
    for (const whole = ((now - begun) / 1000) * rate; due < whole; due++) {
      const number = free.shift();
      if (number === undefined) continue;
      if (measuring) offered++;
      const sending = send(number).finally(() => underWay.delete(sending));
      underWay.add(sending);
    }
    await delay(1);
  }
  measuring = false;
  await Promise.all(underWay);
  const per = (figure: number): number => figure / seconds;
  return {
    ...{ offered: per(offered), sent: per(latencies.length), busy: per(refusals.length) },
    ...{ p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) },
    ...{ busyP50: quantile(refusals, 0.5), busyP99: quantile(refusals, 0.99) },
  };
}
