import type { Domain } from "../domain/domain.ts";
import { StreamChunk } from "../domain/sync/chunk.ts";
import type { Follower, Step } from "../domain/sync/follower.ts";
import { Pulled } from "./pulled.ts";

/**
 * What the event stream's field gives: an iterator of chunks, as any executor takes it, and for whoever writes to sockets
 * the follower itself, which is cheaper. Take from one of them only.
 */
export class ChunkSource extends Pulled<StreamChunk> {
  readonly follower: Follower;
  readonly #domain: Domain;
  /** The part of the stream's tokens that stays. */
  readonly #base: string;

  /** `release` is called when the stream is closed, perhaps more than once. */
  constructor(domain: Domain, follower: Follower, release: () => void) {
    super(
      async () => {
        const step = await follower.next();
        return step && this.chunkOf(step);
      },
      () => {
        domain.stream.close(follower);
        release();
      },
    );
    this.follower = follower;
    this.#domain = domain;
    this.#base = domain.tokens.streamBase(follower.base);
  }

  chunkOf(step: Step): StreamChunk {
    return new StreamChunk(step, this.follower.wish, this.#domain.tokens, this.#base, this.#domain.server.name);
  }
}
