import type { Options } from "./options.ts";
import type { Peer } from "./peers/peer.ts";
import { progress, type Row } from "./report.ts";
import { quantile } from "./rounds.ts";

/** One thing that a workload measures, on one server after the other. */
export interface Case {
  name: string;
  /** Whether a server can do it; if it isn't given, all can. */
  possible?(peer: Peer): boolean;
  /** Figures of one round, by name. */
  run(peer: Peer): Promise<Record<string, number>>;
}

/**
 * Runs all cases on all servers, round by round, so that whatever slows the machine for a while slows them all alike.
 * Gives the medians of the rounds.
 */
export async function alternate(peers: readonly Peer[], cases: readonly Case[], options: Options): Promise<Row[]> {
  const runs = cases
    .filter(({ name }) => name.includes(options.only))
    .flatMap((each) =>
      peers
        .filter((peer) => each.possible?.(peer) ?? true)
        .map((peer) => ({ case: each, peer, rounds: [] as Record<string, number>[] })),
    );
  const rounds = options.rounds ?? (peers.length > 1 ? 3 : 1);
  for (let round = 1; round <= rounds; round++) {
    for (const run of runs) {
      progress(`round ${round} of ${rounds}: ${run.case.name}, ${run.peer.name}`);
      run.rounds.push(await run.case.run(run.peer));
    }
  }
  return runs.map(({ case: { name }, peer, rounds }) => ({ case: name, server: peer.name, ...medians(rounds) }));
}

function medians(rounds: readonly Record<string, number>[]): Row {
  const names = Object.keys(rounds[0] ?? {});
  const all = (name: string): number[] => rounds.map((round) => round[name]!);
  return Object.fromEntries(names.map((name) => [name, quantile(all(name), 0.5)]));
}
