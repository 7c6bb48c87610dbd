import type { Follower } from "./follower.ts";
import type { EventStream } from "./eventStream.ts";

/** How long a stream waits for the next request of who polls, in milliseconds. */
const keptMs = 30_000;

/**
 * The streams of clients that ask again and again. Between two requests a stream stays open for a while, by the token that
 * the first one gave, so that nothing of what isn't stored is missed: typing and presence. [EVS-12]
 */
export class Polls {
  readonly #stream: EventStream;
  readonly #kept = new Map<string, { follower: Follower; timer: NodeJS.Timeout }>();
  /** By device, the token under which its stream is kept: one for each. */
  readonly #byDevice = new Map<string, string>();

  constructor(stream: EventStream) {
    this.#stream = stream;
  }

  /** The stream that was kept under a token; null where there is none any more, or it has ended. */
  take(token: string): Follower | null {
    const kept = this.#kept.get(token);
    if (kept === undefined) return null;
    clearTimeout(kept.timer);
    this.#forget(token, kept.follower);
    if (!kept.follower.ended) return kept.follower;
    this.#stream.close(kept.follower);
    return null;
  }

  keep(token: string, follower: Follower): void {
    if (follower.ended) return this.#stream.close(follower);
    const device = deviceOf(follower);
    const before = this.#byDevice.get(device);
    if (before !== undefined) this.#close(before);
    const timer = setTimeout(() => this.#close(token), keptMs).unref();
    this.#kept.set(token, { follower, timer });
    this.#byDevice.set(device, token);
  }

  #close(token: string): void {
    const follower = this.take(token);
    if (follower !== null) this.#stream.close(follower);
  }

  #forget(token: string, follower: Follower): void {
    this.#kept.delete(token);
    if (this.#byDevice.get(deviceOf(follower)) === token) this.#byDevice.delete(deviceOf(follower));
  }
}

function deviceOf({ base: { userId, deviceId } }: Follower): string {
  return JSON.stringify([userId, deviceId]);
}
