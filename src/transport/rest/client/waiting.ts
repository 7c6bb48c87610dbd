import type { Domain } from "../../../domain/domain.ts";
import type { Follower } from "../../../domain/sync/follower.ts";
import { HearthError } from "../../../model/errors.ts";
import type { EphemeralEvent, StoredEvent } from "../../../model/event.ts";
import type { Requester } from "../../../model/requester.ts";
import type { DevicePresence } from "../../../model/session.ts";
import type { RestContext } from "../routes.ts";

/** Milliseconds that an answer is waited for at most. */
const longestMs = 120_000;

/**
 * Where clients go on: a stream token, and how far they know their account data. Throws `BAD_TOKEN` for what can't be one;
 * whether the stream token holds, its reader finds out.
 */
export function readBatch(batch: string): { stream: string; version: number } {
  const [stream, version, ...rest] = batch.split("~");
  if (stream === undefined || rest.length > 0 || !/^\d{1,15}$/.test(version ?? "")) {
    throw new HearthError("BAD_TOKEN", "The token is malformed.", { field: "since" });
  }
  return { stream, version: Number(version) };
}

export function batchOf(stream: string, version: number): string {
  return `${stream}~${version}`;
}

/** Keeps the device's session going, as open streams do; a service's users have none of their own. Gives what ends it. */
export function holdSession({ sessions }: Domain, requester: Requester, presence: DevicePresence | null): () => void {
  return requester.service === undefined ? sessions.hold(requester, presence) : () => undefined;
}

/** What a stream brought since it was looked at last. */
export interface Heard {
  events: StoredEvent[];
  /** By id, the latest of each. */
  ephemeral: Map<string, EphemeralEvent>;
  /** The position reached; null where nothing came. */
  position: number | null;
}

/** Takes all that a stream holds by now. Throws the error that ended it. */
export function takeAll(follower: Follower, heard: Heard): void {
  for (let step = follower.take(); step !== null; step = follower.take()) {
    heard.events.push(...step.events);
    for (const event of step.ephemeral) heard.ephemeral.set(event.eventId, event);
    heard.position = step.position;
  }
}

/** Waits for something to happen, as long as a client wants to and is there. */
export class Patience {
  readonly #over: Promise<void>;
  readonly #timer: NodeJS.Timeout;
  /** The time is up, or the client gone. */
  isOver = false;

  constructor({ env: { outgoing, served } }: RestContext, timeoutMs: number) {
    if (timeoutMs > 0) served.operation = "subscription";
    let end = (): void => undefined;
    this.#over = new Promise((resolve) => (end = resolve));
    const finish = (): void => {
      this.isOver = true;
      end();
    };
    this.#timer = setTimeout(finish, Math.min(timeoutMs, longestMs));
    if (timeoutMs <= 0 || outgoing.destroyed) finish();
    outgoing.once("close", finish);
  }

  /** Until there is something to take, somebody calls `wake`, or it is over. */
  async until(follower: Follower, onWake: (wake: () => void) => () => void = () => () => undefined): Promise<void> {
    let leave = (): void => undefined;
    await Promise.race([
      this.#over,
      new Promise<void>((resolve) => {
        follower.whenReady(resolve);
        leave = onWake(resolve);
      }),
    ]);
    leave();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
