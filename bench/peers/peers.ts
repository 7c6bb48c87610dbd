import { eachOf } from "../eachOf.ts";
import type { Options } from "../options.ts";
import { progress } from "../report.ts";
import { hearth } from "./hearth/hearth.ts";
import type { Peer, PeerKind, Plan } from "./peer.ts";
import { synapseOnPostgres, synapseOnSqlite } from "./synapse/synapse.ts";

/** Starts what the options ask for, all of it filled alike. hearth is the first. */
export async function startPeers(options: Options, plan: Plan): Promise<Peer[]> {
  const kinds: PeerKind[] = [hearth(options)];
  if (options.peer === "synapse") kinds.push(synapseOnSqlite, synapseOnPostgres);
  progress(`${kinds.map(({ name }) => name).join("; ")}: to be started and filled`);
  return eachOf(kinds, kinds.length, (kind) => kind.start(plan));
}

/** Stops them all. */
export async function stopPeers(peers: readonly Peer[]): Promise<void> {
  await Promise.all(peers.map((peer) => peer.stop()));
}
