import { setTimeout as delay } from "node:timers/promises";
import { eachOf } from "./eachOf.ts";
import { Failures } from "./load.ts";
import { markedBody } from "./peers/marks.ts";
import type { Client, Follower } from "./peers/peer.ts";

/** How many streams are opened at a time. */
const openedAtOnce = 50;
/** How long after the last event deliveries are waited for. */
const patienceMs = 30_000;

/** Followers of one room, and when each event came to each of them. */
export class Deliveries {
  readonly failures = new Failures();
  limited = 0;
  readonly #sentAt = new Map<string, number>();
  readonly #acknowledgedAt = new Map<string, number>();
  #marks: string[] = [];
  #times: number[] = [];
  #followers: Follower[] = [];

  /** Opens a stream for each client. */
  async follow(clients: readonly Client[]): Promise<void> {
    const on = {
      delivered: (mark: string) => {
        this.#marks.push(mark);
        this.#times.push(performance.now());
      },
      limited: () => void (this.limited += 1),
      failed: (error: Error) => this.failures.add(error),
    };
    this.#followers = await eachOf(clients, openedAtOnce, (client) => client.follow(on));
  }

  /** Sends an event that is recognised again; gives whether it was acknowledged. */
  async send(client: Client, roomId: string): Promise<boolean> {
    const { mark, body } = markedBody();
    this.#sentAt.set(mark, performance.now());
    try {
      await client.send(roomId, body);
      this.#acknowledgedAt.set(mark, performance.now());
      return true;
    } catch (error) {
      this.failures.add(error);
      return false;
    }
  }

  get count(): number {
    return this.#times.length;
  }

  /** Forgets what was sent and delivered. */
  reset(): void {
    this.#sentAt.clear();
    this.#acknowledgedAt.clear();
    this.#marks = [];
    this.#times = [];
    this.limited = 0;
  }

  /** Waits until as many deliveries were counted, or until it has been long. */
  async reached(wanted: number): Promise<void> {
    const deadline = performance.now() + patienceMs;
    while (this.count < wanted && performance.now() < deadline) await delay(2);
  }

  /** Waits until nothing has come for a while. */
  async settled(quietMs = 1000): Promise<void> {
    for (let last = -1; this.count !== last;) {
      last = this.count;
      await delay(quietMs);
    }
  }

  /** Milliseconds of each delivery since its event was sent. */
  sinceSent(): number[] {
    return this.#since(this.#sentAt);
  }

  /** Milliseconds of each delivery since the sender had its answer; 0 for those that were faster than that. */
  sinceAcknowledged(): number[] {
    return this.#since(this.#acknowledgedAt);
  }

  /** When the last delivery came, on the clock of `performance`. */
  last(): number {
    return this.#times.at(-1) ?? 0;
  }

  close(): void {
    for (const follower of this.#followers) follower.close();
  }

  #since(started: ReadonlyMap<string, number>): number[] {
    return this.#times.map((time, index) => Math.max(0, time - (started.get(this.#marks[index]!) ?? time)));
  }
}
