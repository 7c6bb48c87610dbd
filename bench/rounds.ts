import type { Answer } from "./http.ts";
import { progress, rounded, type Row } from "./report.ts";

/** A request that is measured alone, with nothing else going on. */
export interface Request {
  name: string;
  /** Milliseconds that its median should stay below; null: shown for comparison only. */
  goal: number | null;
  send(): Promise<Answer>;
  /** Throws unless the answer holds what it should: a fast empty page proves nothing. */
  check(text: string): void;
}

export interface Timed {
  request: Request;
  bytes: number;
  /** Milliseconds, one for each round. */
  times: number[];
}

/** Sends each request once a round, so that whatever slows the machine for a while slows them all alike. */
export async function timeRounds(requests: readonly Request[], rounds: number, warmup: number): Promise<Timed[]> {
  progress(`${requests.length} requests, ${rounds} rounds`);
  const timed: Timed[] = requests.map((request) => ({ request, bytes: 0, times: [] }));
  for (let round = -warmup; round < rounds; round++) {
    for (const each of timed) {
      const answer = await each.request.send();
      each.request.check(answer.text());
      each.bytes = answer.bytes;
      if (round >= 0) each.times.push(answer.milliseconds);
    }
  }
  return timed;
}

/** A request's median beside its goal. */
export function timedRow({ request, bytes, times }: Timed): Row {
  const p50 = quantile(times, 0.5);
  return {
    request: request.name,
    "p50 ms": rounded(p50),
    "p95 ms": rounded(quantile(times, 0.95)),
    ...(request.goal === null ? {} : { "goal ms": request.goal, met: met(p50 < request.goal) }),
    KB: rounded(bytes / 1024),
  };
}

export function met(reached: boolean): string {
  return reached ? "yes" : "NO";
}

/** The value that a share of these values doesn't exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** How often a text occurs in another. */
function occurrences(text: string, part: string): number {
  return text.split(part).length - 1;
}

/** A check that a part occurs so many times. */
export function holds(part: string, count: number): (text: string) => void {
  return (text) => {
    const found = occurrences(text, part);
    if (found !== count) throw new Error(`${found} × ${part} instead of ${count}: ${text.slice(0, 300)}`);
  };
}
