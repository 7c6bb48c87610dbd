import type { Client } from "../../kit/client.ts";
import { until } from "../../kit/until.ts";

/** An open subscription with any document, and every answer that it has brought. */
export class Subscription<Data = Record<string, unknown>> {
  readonly answers: Data[] = [];
  #failure: unknown = null;
  #read = 0;
  readonly #stop: () => void;

  constructor(client: Client, query: string, variables: Record<string, unknown> = {}) {
    this.#stop = client.socket.subscribe<Data>(
      { query, variables },
      {
        next: ({ data, errors }) => {
          if (errors) this.#failure = errors;
          if (data) this.answers.push(data);
        },
        error: (error) => (this.#failure = error),
        complete: () => undefined,
      },
    );
  }

  /** The answer after the one that was read last, as soon as it is there. */
  async next(): Promise<Data> {
    await this.until(() => this.answers.length > this.#read);
    return this.answers[this.#read++]!;
  }

  async until(condition: () => boolean): Promise<void> {
    await until(
      () => condition() || this.#failure !== null,
      () => `the subscription brought ${JSON.stringify(this.answers)}`,
    );
    if (!condition()) throw new Error(`the subscription failed: ${JSON.stringify(this.#failure)}`);
  }

  stop(): void {
    this.#stop();
  }
}
