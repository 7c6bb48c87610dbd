import { setTimeout as delay } from "node:timers/promises";
import { alternate, type Case } from "../alternate.ts";
import { comparison } from "../compare.ts";
import { Deliveries } from "../deliveries.ts";
import type { Options } from "../options.ts";
import { followersPossible, roomOf } from "../peers/followers.ts";
import type { Peer } from "../peers/peer.ts";
import { startPeers, stopPeers } from "../peers/peers.ts";
import { rounded, type Report, type Row } from "../report.ts";
import { met, quantile } from "../rounds.ts";
import { program } from "../../scripts/program.ts";

/** KB of the server's memory that an idle follower may take. */
const memoryGoal = 25;
const wakings = 10;
/** How long the server rests before its memory is looked at. */
const restMs = 3000;

/** Followers to whom nothing happens, and what they cost; then one event that wakes all of them. */
export async function followers(options: Options): Promise<Report> {
  const [small = 500, big] = options.subscribers ?? [500, 5000];
  const count = followersPossible(small);
  const compared = await rowsOf(options, count);
  const rows: Row[] = compared.map(({ "KB/follower": memory, ...row }) => ({ ...row, "KB/follower": memory! }));
  if (big !== undefined) {
    // Few followers show what a process takes for other reasons rather than what a follower takes.
    const [many] = await rowsOf({ ...options, peer: null }, followersPossible(big));
    rows.push({ ...many!, "goal KB": memoryGoal, met: met(Number(many!["KB/follower"]) <= memoryGoal) });
  }
  return {
    server: program().from,
    rows,
    tables: comparison(compared, [
      { case: nameOf(count), figure: "KB/follower", better: "lower" },
      { case: nameOf(count), figure: "all awake ms", better: "lower" },
    ]),
  };
}

function nameOf(count: number): string {
  return `${count} idle followers`;
}

async function rowsOf(options: Options, count: number): Promise<Row[]> {
  const peers = await startPeers(options, roomOf(count));
  const each: Case = { name: nameOf(count), run: (peer) => wake(peer) };
  // Once: a process keeps the memory that it took the first time.
  const rows = await alternate(peers, [each], { ...options, only: "", rounds: 1 });
  await stopPeers(peers);
  return rows;
}

async function wake(peer: Peer): Promise<Record<string, number>> {
  await warmUp(peer);
  const before = peer.memory().now;
  const deliveries = new Deliveries();
  const opened = performance.now();
  await deliveries.follow(peer.clients);
  const seconds = (performance.now() - opened) / 1000;
  await delay(restMs);
  const idle = peer.memory().now;
  const taken: { sent: number; acknowledged: number }[] = [];
  for (let waking = 0; waking < wakings; waking++) {
    deliveries.reset();
    await deliveries.send(peer.clients[0]!, peer.rooms[0]!);
    await deliveries.reached(peer.clients.length);
    const missing = peer.clients.length - deliveries.count;
    if (missing > 0) throw new Error(`${missing} followers of ${peer.name} didn't get an event`);
    taken.push({
      sent: quantile(deliveries.sinceSent(), 1),
      acknowledged: quantile(deliveries.sinceAcknowledged(), 1),
    });
    // So that long polls are back before the next one.
    await deliveries.settled(250);
  }
  deliveries.close();
  deliveries.failures.print();
  const median = (values: number[]): number => rounded(quantile(values, 0.5));
  return {
    "open s": rounded(seconds),
    "idle RSS MB": idle,
    "KB/follower": rounded(((idle - before) * 1024) / peer.clients.length),
    "all awake ms": median(taken.map(({ acknowledged }) => acknowledged)),
    "since sent ms": median(taken.map(({ sent }) => sent)),
    "longest ms": rounded(
      quantile(
        taken.map(({ sent }) => sent),
        1,
      ),
    ),
    errors: deliveries.failures.count,
    "peak MB": peer.memory().peak,
  };
}

/** Has a few followers come and go, so that what the first ones make a process load isn't counted as theirs. */
async function warmUp(peer: Peer): Promise<void> {
  const deliveries = new Deliveries();
  await deliveries.follow(peer.clients.slice(0, 20));
  for (let sent = 0; sent < 20; sent++) await deliveries.send(peer.clients[0]!, peer.rooms[0]!);
  await deliveries.settled();
  deliveries.close();
  await delay(restMs);
}
