import { setTimeout as delay } from "node:timers/promises";
import { rounded } from "./report.ts";

/** Failures, counted by message, so that none goes unseen and a flood of them stays readable. */
export class Failures {
  #count = 0;
  readonly #byMessage = new Map<string, number>();

  add(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#count += 1;
    this.#byMessage.set(message, (this.#byMessage.get(message) ?? 0) + 1);
  }

  get count(): number {
    return this.#count;
  }

  /** Shows the most frequent ones. */
  print(): void {
    const worst = [...this.#byMessage].sort(([, a], [, b]) => b - a).slice(0, 5);
    for (const [message, count] of worst) process.stderr.write(`${count} × ${message}\n`);
  }
}

export interface Loop {
  /** Milliseconds that each call took that ended within the measured time. */
  latencies: number[];
  failures: Failures;
}

/**
 * Runs callers side by side, each calling anew when its last call has ended, and keeps what ends in the measured time.
 * `begin` and `end` are called at its ends.
 */
export async function closedLoop(
  callers: readonly (() => Promise<unknown>)[],
  time: { warmup: number; seconds: number },
  { begin, end }: { begin(): void; end(): void },
): Promise<Loop> {
  const loop: Loop = { latencies: [], failures: new Failures() };
  let measuring = false;
  let stopped = false;
  const running = callers.map(async (call) => {
    while (!stopped) {
      const started = performance.now();
      try {
        await call();
        if (measuring) loop.latencies.push(performance.now() - started);
      } catch (error) {
        loop.failures.add(error);
        // A server that refuses everything shall not be hammered.
        await delay(10);
      }
    }
  });
  await delay(time.warmup * 1000);
  begin();
  measuring = true;
  await delay(time.seconds * 1000);
  measuring = false;
  end();
  stopped = true;
  await Promise.all(running);
  loop.failures.print();
  return loop;
}

/** The usual percentiles in milliseconds, as columns. */
export function percentiles(latencies: readonly number[]): { "p50 ms": number; "p95 ms": number; "p99 ms": number } {
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number): number => rounded(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0);
  return { "p50 ms": at(0.5), "p95 ms": at(0.95), "p99 ms": at(0.99) };
}
