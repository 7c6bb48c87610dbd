import { setTimeout as sleep } from "node:timers/promises";
import { createClient, type Client } from "graphql-ws";
import WebSocket from "ws";
import { serverError, ServerError, type Connection, type ErrorAnswer } from "./connection.ts";
import { FollowDocument, type FollowSubscription, type FollowSubscriptionVariables } from "./generated/graphql.ts";

export type Chunk = FollowSubscription["eventStream"];

export interface FeedListener {
  /** Events arrived. The next chunk waits until this one has been dealt with. */
  chunk(chunk: Chunk): Promise<void>;
  lost(): void;
  back(): void;
}

const firstWaitMs = 250;
const longestWaitMs = 10_000;
const pingEveryMs = 10_000;
const pongWithinMs = 5_000;

/** graphql-transport-ws closes with 44xx when trying again can't help; 4403 is a refused access token. */
const forbidden = 4403;
const connectionTimeouts = [4408, 4499, 4504];

/**
 * Follows the event stream across lost connections. Every chunk brings the stream token of its end, and a new
 * subscription starts from the last of them, so that nothing is lost or doubled. That is why graphql-ws's own retries are
 * off: they would send the first subscription's old token again.
 */
export class EventFeed {
  readonly #client: Client;
  readonly #listener: FeedListener;
  readonly #stopping = new AbortController();
  #stream: string | null = null;
  #lost = false;
  #waitMs = firstWaitMs;

  constructor({ endpoint, accessToken }: Connection, listener: FeedListener) {
    this.#listener = listener;
    let pongDue: NodeJS.Timeout | undefined;
    this.#client = createClient({
      url: endpoint.href.replace(/^http/, "ws"),
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${accessToken}` },
      retryAttempts: 0,
      // A connection can vanish without a word, as when a laptop sleeps: whoever misses a pong calls it lost.
      keepAlive: pingEveryMs,
      on: {
        ping: (received) => {
          if (!received) pongDue = setTimeout(() => this.#client.terminate(), pongWithinMs);
        },
        pong: (received) => {
          if (received) clearTimeout(pongDue);
        },
        closed: () => clearTimeout(pongDue),
      },
    });
  }

  /** Follows until stopped. Rejects with a ServerError if the server won't have it. */
  async run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#follow();
      } catch (reason) {
        const refusal = refusalOf(reason);
        if (refusal !== null) throw refusal;
      }
      if (this.#stopping.signal.aborted) return;
      if (!this.#lost) this.#listener.lost();
      this.#lost = true;
      await sleep(this.#waitMs, null, { signal: this.#stopping.signal }).catch(() => undefined);
      this.#waitMs = Math.min(2 * this.#waitMs, longestWaitMs);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#client.dispose();
  }

  /** One subscription, from where the last one ended. */
  async #follow(): Promise<void> {
    const variables = { stream: this.#stream } satisfies FollowSubscriptionVariables;
    const results = this.#client.iterate<FollowSubscription>({ query: FollowDocument.toString(), variables });
    for await (const { data, errors } of results) {
      if (!data) throw errors;
      if (this.#lost) this.#listener.back();
      this.#lost = false;
      this.#waitMs = firstWaitMs;
      await this.#listener.chunk(data.eventStream);
      this.#stream = data.eventStream.stream;
    }
  }
}

/** Why the server refuses to go on; null for a connection that was merely lost. */
function refusalOf(reason: unknown): ServerError | null {
  if (reason instanceof ServerError) return reason;
  if (Array.isArray(reason)) return reason[0] ? serverError(reason[0] as ErrorAnswer) : null;
  const { code, reason: text } = (reason ?? {}) as { code?: unknown; reason?: unknown };
  if (code === forbidden) return new ServerError("UNKNOWN_TOKEN", "The server no longer knows this session.");
  if (typeof code !== "number" || code < 4400 || connectionTimeouts.includes(code)) return null;
  return new ServerError(String(code), `The server ended the event stream: ${String(text)}`);
}
