import { setTimeout as delay } from "node:timers/promises";
import type { ExecutionResult, GraphQLError } from "graphql";

/** Milliseconds between tries, while the store is away. */
const pauseMs = 250;

/**
 * Renders what a stream brings, and again for as long as the store is away or too busy: a client whose chunk came with such
 * an error would go on without what was in it. Gives the result as JSON; null when nobody waits for it any more. [EVS-3]
 */
export async function persistently(
  render: () => ExecutionResult | Promise<ExecutionResult>,
  presentError: (error: unknown) => GraphQLError,
  isOver: () => boolean,
): Promise<ExecutionResult | null> {
  for (;;) {
    const { data, errors } = await render();
    if (errors === undefined) return { data };
    const presented = errors.map(presentError);
    if (!comesLater(presented)) return { data, errors: presented };
    await delay(pauseMs, undefined, { ref: false });
    if (isOver()) return null;
  }
}

/** Whether something is missing in a result that is going to be there later. */
export function comesLater(errors: readonly GraphQLError[]): boolean {
  return errors.some(({ extensions }) => extensions["code"] === "OVERLOADED");
}
