import { execute, type ExecutionArgs, type GraphQLError } from "graphql";
import type { Sink } from "./delivery.ts";
import { persistently } from "./persistently.ts";

/**
 * Writes what a subscription's source gives to the sink, one value after the other, as fast as the client takes them: for
 * the subscriptions that aren't worth sharing. Gives what `Live.subscribe` does.
 */
export function writeEach(
  values: AsyncIterator<unknown>,
  operation: ExecutionArgs,
  sink: Sink,
  presentError: (error: unknown) => GraphQLError,
): AsyncIterableIterator<never> {
  const done = { done: true as const, value: undefined };
  let over = false;
  /** Goes on with what waits until the client has taken what was written. */
  let goOn = (): void => undefined;

  async function close(): Promise<void> {
    over = true;
    goOn();
    await values.return?.();
  }

  async function write(value: unknown): Promise<void> {
    const render = () => execute({ ...operation, rootValue: value });
    const result = await persistently(render, presentError, () => over);
    if (over) return;
    sink.send(JSON.stringify(result));
    if (!sink.full) return;
    await new Promise<void>((resolve) => {
      goOn = resolve;
      sink.whenDrained(resolve);
    });
  }

  sink.opened(() => void close());
  return {
    async next() {
      try {
        for (let step = await values.next(); step.done !== true && !over; step = await values.next()) {
          await write(step.value);
        }
      } finally {
        sink.ended?.();
        await close();
      }
      return done;
    },
    async return() {
      await close();
      return done;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
