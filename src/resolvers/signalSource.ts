import type { CallSignal, SignalStream } from "../domain/calls/signalStream.ts";

/** The signals of calls as an iterator that any executor takes. */
export class SignalSource implements AsyncIterableIterator<CallSignal> {
  readonly #signals: SignalStream;

  constructor(signals: SignalStream) {
    this.#signals = signals;
  }

  async next(): Promise<IteratorResult<CallSignal>> {
    try {
      const signal = await this.#signals.next();
      return signal === null ? await this.return() : { done: false, value: signal };
    } catch (error) {
      this.#signals.close();
      throw error;
    }
  }

  /** Works also while `next` is still waiting, as a generator's wouldn't. */
  return(): Promise<IteratorResult<CallSignal>> {
    this.#signals.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error: Error): Promise<IteratorResult<CallSignal>> {
    this.#signals.close();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
