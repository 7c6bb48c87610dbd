import { setTimeout as delay } from "node:timers/promises";
import { alternate, type Case } from "../alternate.ts";
import { cpuColumns, memoryColumns } from "../columns.ts";
import { comparison } from "../compare.ts";
import { actions, Member, type Action } from "../day/member.ts";
import { roomsOf, teamOf } from "../day/team.ts";
import { closedLoop, Failures, percentiles } from "../load.ts";
import type { Options } from "../options.ts";
import type { Peer, Plan } from "../peers/peer.ts";
import { startPeers, stopPeers } from "../peers/peers.ts";
import { rounded, type Report, type Row, type Table } from "../report.ts";
import { quantile } from "../rounds.ts";
import { program } from "../../scripts/program.ts";
import { measure, type Measured } from "../usage.ts";

const people = 50;
/** Actions a second of the whole team, which the slowest of the servers can keep up with. */
const steadyRate = 5;
const fast = "one after the other";

/**
 * A team at work, each with a stream open: first without pause between one's actions, then at a rate of actions that is
 * the same for every server.
 */
export async function day(options: Options): Promise<Report> {
  const plan = teamOf(options.clients ?? people);
  const rate = options.rate ?? steadyRate;
  const steady = `${rate} actions/s`;
  const peers = await startPeers(options, plan);
  const cases: Case[] = [
    { name: fast, run: (peer) => withTeam(peer, plan, (team) => actAtOnce(peer, team, options)) },
    { name: steady, run: (peer) => withTeam(peer, plan, (team) => actAtRate(peer, team, rate, options)) },
  ];
  const found = await alternate(peers, cases, options);
  await stopPeers(peers);
  const rows = found.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !isOfAction(name))));
  return {
    server: program().from,
    rows,
    tables: [
      ...comparison(found, [
        { case: fast, figure: "actions/s", better: "higher" },
        { case: fast, figure: "p99 ms", better: "lower" },
        { case: steady, figure: "p99 ms", better: "lower" },
        { case: steady, figure: "delivered p99 ms", better: "lower" },
        { case: steady, figure: "server CPU s", better: "lower" },
      ]),
      ...cases.map(({ name }) => byAction(name, found)),
    ],
  };
}

/** The members of a team at work, and what is known of it. */
interface Team {
  members: readonly Member[];
  /** Milliseconds that actions of each kind took. */
  taken: Map<Action, number[]>;
  /** Milliseconds from an event's sending to its deliveries. */
  delivered: number[];
  failures: Failures;
}

async function withTeam(
  peer: Peer,
  plan: Plan,
  work: (team: Team) => Promise<Record<string, number>>,
): Promise<Record<string, number>> {
  const team = teamOn(peer, plan);
  await Promise.all(team.members.map((member) => member.arrive()));
  const figures = await work(team);
  for (const member of team.members) member.leave();
  team.failures.print();
  return { ...figures, ...figuresByAction(team), ...memoryColumns(peer.memory()) };
}

function teamOn({ clients, rooms }: Peer, plan: Plan): Team {
  const sentAt = new Map<string, number>();
  const team = { taken: new Map<Action, number[]>(), delivered: [] as number[], failures: new Failures() };
  const on = {
    delivered: (mark: string) => {
      const sent = sentAt.get(mark);
      // One of an earlier round may come once more to who was signed out of it.
      if (sent !== undefined) team.delivered.push(performance.now() - sent);
    },
    limited: () => team.failures.add("a stream was limited"),
    failed: (error: Error) => team.failures.add(error),
  };
  const onSend = (mark: string): void => void sentAt.set(mark, performance.now());
  const members = clients.map((client, seed) => {
    const own = roomsOf(plan, seed).map((room) => rooms[room]!);
    return new Member(client, { rooms: own, seed, on, onSend });
  });
  return { ...team, members };
}

async function actAtOnce(peer: Peer, team: Team, options: Options): Promise<Record<string, number>> {
  let stop = (): Measured => ({ seconds: 0, node: 0, postgres: 0, load: 0 });
  let measured = stop();
  const callers = team.members.map((member) => () => timed(team, member));
  const { latencies, failures } = await closedLoop(callers, options, {
    begin() {
      forget(team);
      stop = measure(peer.pid, peer.postgresPid);
    },
    end: () => (measured = stop()),
  });
  return figures(team, { measured, latencies, errors: failures.count + team.failures.count });
}

async function actAtRate(peer: Peer, team: Team, rate: number, options: Options): Promise<Record<string, number>> {
  const acting: Promise<void>[] = [];
  const act = async (member: Member): Promise<void> => {
    try {
      await timed(team, member);
    } catch (error) {
      team.failures.add(error);
    }
  };
  // One's actions don't overtake each other: a member that is busy acts next when it is done.
  const busy = new Map<Member, Promise<void>>();
  const begin = performance.now();
  const stop = measure(peer.pid, peer.postgresPid);
  for (let number = 0; number < Math.max(1, options.seconds * 3 * rate); number++) {
    await delay(Math.max(0, begin + (number * 1000) / rate - performance.now()));
    const member = team.members[number % team.members.length]!;
    const next = (busy.get(member) ?? Promise.resolve()).then(() => act(member));
    busy.set(member, next);
    acting.push(next);
  }
  await Promise.all(acting);
  const measured = stop();
  return figures(team, { measured, latencies: [...team.taken.values()].flat(), errors: team.failures.count });
}

async function timed(team: Team, member: Member): Promise<void> {
  const action = member.choose();
  const started = performance.now();
  await member.act(action);
  const times = team.taken.get(action) ?? [];
  team.taken.set(action, times);
  times.push(performance.now() - started);
}

/** What was before the measuring began. */
function forget(team: Team): void {
  team.taken.clear();
  team.delivered.length = 0;
}

function figures(
  { delivered }: Team,
  { measured, latencies, errors }: { measured: Measured; latencies: number[]; errors: number },
): Record<string, number> {
  const { seconds, node, postgres } = measured;
  return {
    "actions/s": rounded(latencies.length / seconds),
    ...percentiles(latencies),
    "deliveries/s": rounded(delivered.length / seconds),
    "delivered p50 ms": rounded(quantile(delivered, 0.5)),
    "delivered p99 ms": rounded(quantile(delivered, 0.99)),
    errors,
    "server CPU s": rounded(node * seconds),
    "postgres CPU s": rounded(postgres * seconds),
    ...cpuColumns(measured),
  };
}

const separator = ": ";

function isOfAction(name: string): boolean {
  return name.includes(separator);
}

function figuresByAction({ taken }: Team): Record<string, number> {
  return Object.fromEntries(
    actions.flatMap((action) => {
      const times = taken.get(action) ?? [];
      return [
        [`${action}${separator}count`, times.length],
        [`${action}${separator}p50`, rounded(quantile(times, 0.5))],
        [`${action}${separator}p99`, rounded(quantile(times, 0.99))],
      ];
    }),
  );
}

/** The latencies of each kind of action, the servers beside each other. */
function byAction(name: string, found: readonly Row[]): Table {
  const ofCase = found.filter((row) => row.case === name);
  const rows = actions.map((action): Row => {
    const columns = ofCase.flatMap((row) =>
      ["p50", "p99"].map((share) => [`${row.server} ${share} ms`, row[`${action}${separator}${share}`]!] as const),
    );
    return { action, count: ofCase[0]?.[`${action}${separator}count`] ?? 0, ...Object.fromEntries(columns) };
  });
  return { title: `By action, ${name}`, rows };
}
