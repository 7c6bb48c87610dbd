import { Client } from "../../kit/client.ts";
import { Follow, type FollowedEvent } from "../../kit/follow.ts";
import { until } from "../../kit/until.ts";

/** A follower that goes on with its last token wherever and whenever it connects again. */
export class Reader {
  readonly #user: Client;
  readonly #follows: Follow[] = [];
  #client: Client | null = null;
  #keeping: Promise<void> | null = null;
  #stopped = false;

  constructor(user: Client) {
    this.#user = user;
  }

  /** Connects and waits until the stream is live, or has failed. */
  async connect(address: string): Promise<void> {
    const { token, userId, deviceId } = this.#user;
    this.#client = new Client(address, token, userId, deviceId);
    const follow = new Follow(this.#client.socket, this.token);
    this.#follows.push(follow);
    await until(
      () => follow.chunks.length > 0 || follow.ended,
      () => "the stream didn't begin",
      20_000,
    );
  }

  async disconnect(): Promise<void> {
    await this.#client?.close();
    // What came until the very end counts: the token is taken after it.
    await until(() => this.#follows.at(-1)?.ended ?? true);
  }

  /** Connects again whenever the stream ends, until `disconnect`ed by `finish`. */
  keepFollowing(address: () => Promise<string>): void {
    const keep = async (): Promise<void> => {
      while (!this.#stopped) {
        await this.connect(await address());
        await until(
          () => this.#stopped || this.#follows.at(-1)!.ended,
          () => "",
          Infinity,
        );
        await this.disconnect();
      }
    };
    this.#keeping = keep();
  }

  async finish(): Promise<void> {
    this.#stopped = true;
    await this.#keeping;
    await this.disconnect();
  }

  /** The token after the last chunk that came. */
  get token(): string | null {
    return this.#follows.findLast((follow) => follow.chunks.length > 0)?.token ?? null;
  }

  get connections(): number {
    return this.#follows.length;
  }

  get events(): FollowedEvent[] {
    return this.#follows.flatMap((follow) => follow.events);
  }

  get messages(): FollowedEvent[] {
    return this.events.filter((event) => event.kind === "MESSAGE");
  }

  get limited(): boolean {
    return this.#follows.some((follow) => follow.chunks.some((chunk) => chunk.limited));
  }

  /** Waits until it has at least so many messages. */
  async has(count: number): Promise<void> {
    await until(
      () => this.messages.length >= count,
      () => `${this.messages.length} of ${count} messages came over ${this.connections} connections`,
      20_000,
    );
  }
}
