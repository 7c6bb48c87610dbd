import type { Domain } from "../domain/domain.ts";
import type { AnyEvent } from "../model/event.ts";
import type { FilterInput } from "../model/filter.ts";
import type { Requester } from "../model/requester.ts";
import type { StreamToken } from "../model/tokens.ts";
import { readFilter } from "../domain/filters.ts";
import type { Follower } from "../domain/sync/follower.ts";
import { Pulled } from "./pulled.ts";

/** What a subscription is made of. */
interface Wanted<Value> {
  token: Pick<StreamToken, "rooms" | "users">;
  filter: FilterInput;
  /** What there is already. */
  first(): Value[] | Promise<Value[]>;
  /** What events become for the subscriber, as they stand to the room when they are delivered. */
  valuesOf(events: readonly AnyEvent[]): Value[] | Promise<Value[]>;
}

/** Opens a subscription that is a view of the event stream: bounded, ended and kept alive as that is. */
export async function streamValues<Value>(
  domain: Domain,
  requester: Requester,
  { token, filter, first, valuesOf }: Wanted<Value>,
): Promise<Pulled<Value>> {
  const release = domain.sessions.hold(requester);
  let follower: Follower | null = null;
  const close = (): void => {
    if (follower !== null) domain.stream.close(follower);
    release();
  };
  try {
    const base: StreamToken = { ...requester, ...token, position: null };
    const options = { filter: readFilter(domain.tokens, null, filter) };
    const opened = (follower = await domain.stream.open(base, requester.tokenId, options));
    return new Pulled(pull(opened, await first(), valuesOf), close);
  } catch (error) {
    close();
    throw error;
  }
}

/** Gives the values that wait, then those of the follower's steps as they come; null at its end. */
function pull<Value>(
  follower: Follower,
  first: Value[],
  valuesOf: Wanted<Value>["valuesOf"],
): () => Promise<Value | null> {
  let waiting = first;
  return async () => {
    for (;;) {
      const value = follower.ended ? undefined : waiting.shift();
      if (value !== undefined) return value;
      const step = await follower.next();
      if (step === null) return null;
      waiting = await valuesOf([...step.events, ...step.ephemeral]);
    }
  };
}
