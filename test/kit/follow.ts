import type { Client as SocketClient } from "graphql-ws";
import { until } from "./until.ts";

export interface FollowedEvent {
  id: string;
  kind: string;
  type: string;
  roomId: string;
  senderId: string;
  stateKey?: string;
  actionId: string | null;
  content: Record<string, unknown> | null;
}

export interface FollowedChunk {
  events: FollowedEvent[];
  stream: string;
  limited: boolean;
  json: Record<string, unknown>[];
  rooms: { id: string }[];
  invites: { event: { id: string }; room: { id: string; name: string | null } }[];
  left: { roomId: string }[];
}

const document = `subscription ($stream: StreamToken, $filter: FilterToken, $outOfOrder: Boolean! = false, $tweak: FilterInput) {
  eventStream(stream: $stream, filter: $filter, outOfOrder: $outOfOrder, tweak: $tweak) {
    stream limited json
    events { id kind type roomId senderId actionId content ... on StateEvent { stateKey } }
    rooms { id }
    invites { event { id } room { id name } }
    left { roomId }
  }
}`;

/** An open event stream and all that came down it. */
export class Follow {
  readonly chunks: FollowedChunk[] = [];
  /** What ended the stream, if an error did. */
  failure: unknown = null;
  ended = false;
  readonly #stop: () => void;

  /** `options`: the stream's other arguments. */
  constructor(socket: SocketClient, stream: string | null, options: Record<string, unknown> = {}) {
    this.#stop = socket.subscribe<{ eventStream: FollowedChunk }>(
      { query: document, variables: { stream, ...options } },
      {
        next: ({ data, errors }) => {
          if (errors) this.failure = errors;
          if (data) this.chunks.push(data.eventStream);
        },
        error: (error) => {
          this.failure = error;
          this.ended = true;
        },
        complete: () => (this.ended = true),
      },
    );
  }

  /** Every event so far, in order of arrival. */
  get events(): FollowedEvent[] {
    return this.chunks.flatMap((chunk) => chunk.events);
  }

  /** The events' documents, in order of arrival. */
  get json(): Record<string, unknown>[] {
    return this.chunks.flatMap((chunk) => chunk.json);
  }

  /** The token after the last chunk. */
  get token(): string {
    return this.chunks.at(-1)!.stream;
  }

  async until(condition: (follow: Follow) => boolean): Promise<void> {
    await until(
      () => condition(this) || this.failure !== null,
      () => `the stream brought ${JSON.stringify(this.events)}`,
    );
    if (!condition(this)) throw new Error(`the stream failed: ${JSON.stringify(this.failure)}`);
  }

  /** Waits for an event by id. */
  async sees(eventId: string): Promise<FollowedEvent> {
    await this.until(({ events }) => events.some((event) => event.id === eventId));
    return this.events.find((event) => event.id === eventId)!;
  }

  stop(): void {
    this.#stop();
  }
}
