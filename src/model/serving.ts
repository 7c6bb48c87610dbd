import { AsyncLocalStorage } from "node:async_hooks";

/** What goes with everything that is done for a request. */
export interface Serving {
  requestId: string;
  /** Of the trace that it is part of, where that is recorded. */
  traceId?: string | undefined;
  /** The tracer's own: what the next span hangs on. */
  place?: unknown;
}

const servings = new AsyncLocalStorage<Serving | undefined>();

/**
 * Does work that knows, wherever it goes, for which request it is done. The first use makes every promise of the process
 * cost more, until Node 24: see `follows` in src/transport/watch.ts.
 */
export function serve<T>(serving: Serving, work: () => T): T {
  return servings.run(serving, work);
}

/** Does work that is begun for a request and goes on for others. */
export function serveNobody<T>(work: () => T): T {
  return served() === undefined ? work() : servings.run(undefined, work);
}

/** The request that the present work is done for, if it is known. */
export function served(): Serving | undefined {
  return servings.getStore();
}
