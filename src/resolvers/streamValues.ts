import type { Domain } from "../domain/domain.ts";
import type { AnyEvent } from "../model/event.ts";
import type { FilterInput } from "../model/filter.ts";
import type { Requester } from "../model/requester.ts";
import type { StreamToken } from "../model/tokens.ts";
import { readFilter } from "../domain/filters.ts";
import type { Follower } from "../domain/sync/follower.ts";

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
): Promise<AsyncIterableIterator<Value>> {
  const release = domain.sessions.hold(requester);
  try {
    const base: StreamToken = { ...requester, ...token, position: null };
    const options = { filter: readFilter(domain.tokens, null, filter) };
    const follower = await domain.stream.open(base, requester.tokenId, options);
    const close = (): void => {
      domain.stream.close(follower);
      release();
    };
    try {
      return new StreamValues(follower, close, await first(), valuesOf);
    } catch (error) {
      close();
      throw error;
    }
  } catch (error) {
    release();
    throw error;
  }
}

class StreamValues<Value> implements AsyncIterableIterator<Value> {
  readonly #follower: Follower;
  readonly #close: () => void;
  readonly #valuesOf: Wanted<Value>["valuesOf"];
  #waiting: Value[];

  constructor(follower: Follower, close: () => void, first: Value[], valuesOf: Wanted<Value>["valuesOf"]) {
    this.#follower = follower;
    this.#close = close;
    this.#waiting = first;
    this.#valuesOf = valuesOf;
  }

  async next(): Promise<IteratorResult<Value>> {
    try {
      for (;;) {
        if (this.#follower.ended) this.#waiting = [];
        if (this.#waiting.length > 0) return { done: false, value: this.#waiting.shift()! };
        const step = await this.#follower.next();
        if (step === null) return await this.return();
        this.#waiting = await this.#valuesOf([...step.events, ...step.ephemeral]);
      }
    } catch (error) {
      this.#close();
      throw error;
    }
  }

  /** Works also while `next` is still waiting, as a generator's wouldn't. */
  return(): Promise<IteratorResult<Value>> {
    this.#close();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error: Error): Promise<IteratorResult<Value>> {
    this.#close();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
