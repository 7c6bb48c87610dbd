/** What a subscription gives, pulled one by one; null is the end. */
export class Pulled<Value> implements AsyncIterableIterator<Value> {
  readonly #pull: () => Promise<Value | null>;
  /** Lets go of what the values come from; may be called more than once. */
  readonly close: () => void;

  constructor(pull: () => Promise<Value | null>, close: () => void) {
    this.#pull = pull;
    this.close = close;
  }

  async next(): Promise<IteratorResult<Value>> {
    try {
      const value = await this.#pull();
      return value === null ? await this.return() : { done: false, value };
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Works also while `next` is still waiting, as a generator's wouldn't. */
  return(): Promise<IteratorResult<Value>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error: Error): Promise<IteratorResult<Value>> {
    this.close();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
