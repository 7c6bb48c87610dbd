import type { Extra } from "graphql-ws/use/ws";
import type { Sink } from "./delivery.ts";

/** Bytes that may wait for a client before its streams pause. */
const maxWaiting = 128 * 1024;

/** The event streams of one WebSocket, which share one listener of each kind: a client may open many. */
export class SocketStreams {
  readonly socket: Extra["socket"];
  readonly #open = new Set<SocketSink>();

  constructor({ socket, request }: Extra) {
    this.socket = socket;
    // Only the raw socket tells that the client has taken what was written.
    request.socket.on("drain", () => this.#open.forEach((sink) => sink.drained()));
    // All of them: graphql-ws forgets a stream whose id was used again before it was open.
    socket.once("close", () => this.#open.forEach((sink) => sink.close()));
  }

  /** Writes a subscription's payloads as graphql-ws would, without waiting for each to be taken. */
  sink(id: string): Sink {
    return new SocketSink(this, id);
  }

  opened(sink: SocketSink): void {
    this.#open.add(sink);
    if (this.socket.readyState !== this.socket.OPEN) sink.close();
  }

  ended(sink: SocketSink): void {
    this.#open.delete(sink);
  }
}

class SocketSink implements Sink {
  readonly #streams: SocketStreams;
  /** What stands before a payload. */
  readonly #before: string;
  #whenDrained: (() => void) | null = null;
  #close: (() => void) | null = null;

  constructor(streams: SocketStreams, id: string) {
    this.#streams = streams;
    this.#before = `{"id":${JSON.stringify(id)},"type":"next","payload":`;
  }

  get full(): boolean {
    return this.#streams.socket.bufferedAmount > maxWaiting;
  }

  send(payload: string): void {
    const { socket } = this.#streams;
    if (socket.readyState === socket.OPEN) socket.send(`${this.#before}${payload}}`);
  }

  whenDrained(callback: () => void): void {
    this.#whenDrained = callback;
  }

  opened(close: () => void): void {
    this.#close = close;
    this.#streams.opened(this);
  }

  ended(): void {
    this.#streams.ended(this);
  }

  drained(): void {
    const callback = this.#whenDrained;
    this.#whenDrained = null;
    callback?.();
  }

  close(): void {
    this.#close?.();
  }
}
