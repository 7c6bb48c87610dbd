import type { Domain } from "../domain/domain.ts";
import { StreamChunk } from "../domain/sync/chunk.ts";
import type { Follower, Step } from "../domain/sync/follower.ts";

/**
 * What the event stream's field gives: an iterator of chunks, as any executor takes it, and for whoever writes to sockets
 * the follower itself, which is cheaper. Take from one of them only.
 */
export class ChunkSource implements AsyncIterableIterator<StreamChunk> {
  readonly follower: Follower;
  readonly #domain: Domain;
  readonly #release: () => void;
  /** The part of the stream's tokens that stays. */
  readonly #base: string;

  /** `release` is called when the stream is closed, perhaps more than once. */
  constructor(domain: Domain, follower: Follower, release: () => void) {
    this.follower = follower;
    this.#release = release;
    this.#domain = domain;
    this.#base = domain.tokens.streamBase(follower.base);
  }

  chunkOf(step: Step): StreamChunk {
    return new StreamChunk(step, this.follower.wish, this.#domain.tokens, this.#base, this.#domain.server.name);
  }

  close(): void {
    this.#domain.stream.close(this.follower);
    this.#release();
  }

  async next(): Promise<IteratorResult<StreamChunk>> {
    try {
      const step = await this.follower.next();
      return step === null ? await this.return() : { done: false, value: this.chunkOf(step) };
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Works also while `next` is still waiting, as a generator's wouldn't. */
  return(): Promise<IteratorResult<StreamChunk>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error: Error): Promise<IteratorResult<StreamChunk>> {
    this.close();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
