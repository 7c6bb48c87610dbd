import { cpuColumns, memoryColumns } from "./columns.ts";
import { closedLoop, percentiles } from "./load.ts";
import type { Options } from "./options.ts";
import type { Peer } from "./peers/peer.ts";
import { rounded } from "./report.ts";
import { measure, type Measured } from "./usage.ts";

/** Callers who act side by side, each anew when its last call has ended: how many calls a server takes, and how fast. */
export async function runLoad(
  peer: Peer,
  callers: readonly (() => Promise<unknown>)[],
  options: Options,
  rateName: string,
): Promise<Record<string, number>> {
  let stop = (): Measured => ({ seconds: 0, node: 0, postgres: 0, load: 0 });
  let measured = stop();
  const { latencies, failures } = await closedLoop(callers, options, {
    begin: () => (stop = measure(peer.pid, peer.postgresPid)),
    end: () => (measured = stop()),
  });
  return {
    [rateName]: rounded(latencies.length / measured.seconds),
    ...percentiles(latencies),
    errors: failures.count,
    ...cpuColumns(measured),
    ...memoryColumns(peer.memory()),
  };
}
