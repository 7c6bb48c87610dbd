import { overloaded, type HearthError } from "../model/errors.ts";

/**
 * Runs at most so many pieces of work at once; the others wait for their turn. Throws `OVERLOADED` when more than
 * `maxWaiting` would wait.
 */
export function atMost(count: number, maxWaiting = Infinity): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running >= count) {
      if (waiting.length >= maxWaiting) throw busy();
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}

/**
 * Runs work of the same name one piece at a time, in order, and of different names side by side. Throws `OVERLOADED` when
 * more than `maxWaiting` of a name would wait.
 */
export function oneByOne(maxWaiting: number): <T>(name: string, work: () => Promise<T>) => Promise<T> {
  const lines = new Map<string, { take: ReturnType<typeof atMost>; length: number }>();
  return async (name, work) => {
    const line = lines.get(name) ?? { take: atMost(1, maxWaiting), length: 0 };
    lines.set(name, line);
    line.length++;
    try {
      return await line.take(work);
    } finally {
      if (--line.length === 0) lines.delete(name);
    }
  };
}

/** What callers are told for whom there is no room. */
export function busy(): HearthError {
  return overloaded("The server is busy: try again.");
}
