import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { isQueued } from "./turns.ts";

/** Milliseconds that a client has to take the last of what it was answered. */
const partingMs = 1000;

interface Coming {
  req: IncomingMessage;
  res: ServerResponse;
  /** By `performance.now()`. */
  until: number;
}

/** Ends requests that take too long to come, so that none holds a connection by sending a byte now and then. */
export class Patience {
  readonly #usualMs: number;
  readonly #everyMs: number;
  /** Of each connection its last request, which is the only one that can still be coming. */
  readonly #coming = new Map<Socket, Coming>();
  #timer: NodeJS.Timeout | null = null;

  /** `everyMs`: how often it is looked which requests have taken too long. */
  constructor(usualMs: number, everyMs = 10_000) {
    this.#usualMs = usualMs;
    this.#everyMs = everyMs;
  }

  begin(req: IncomingMessage, res: ServerResponse): void {
    // Nothing follows the headers.
    if (req.headers["content-length"] === undefined && req.headers["transfer-encoding"] === undefined) return;
    this.#coming.set(req.socket, { req, res, until: performance.now() + this.#usualMs });
  }

  /** Lets a request take this long from now. */
  allow(req: IncomingMessage, ms: number): void {
    const coming = this.#coming.get(req.socket);
    if (coming?.req === req) coming.until = Math.max(coming.until, performance.now() + ms);
  }

  watch(): void {
    this.#timer ??= setInterval(() => this.#look(), this.#everyMs).unref();
  }

  end(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#coming.clear();
  }

  #look(): void {
    const now = performance.now();
    for (const [socket, coming] of this.#coming) {
      const { req, res, until } = coming;
      if (req.complete || socket.destroyed) this.#coming.delete(socket);
      // The time of a request that isn't taken yet begins when it is; what is sent now is another's answer.
      else if (isQueued(res)) coming.until = Math.max(until, now + this.#usualMs);
      else if (now > until) {
        this.#coming.delete(socket);
        if (!res.headersSent)
          socket.write("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        socket.destroySoon();
        // Who doesn't take answers either would stay.
        setTimeout(() => socket.destroy(), partingMs).unref();
      }
    }
  }
}

/** Ends the connection of an answer of which its client takes nothing for so long: it would hold what it is read from. */
export function endStalled(res: ServerResponse, ms: number): void {
  res.setTimeout(ms, () => {
    if (res.writableLength > 0) res.destroy();
    // It waits for us.
    else res.setTimeout(ms);
  });
  // Before Node gives the connection the time that it may be idle.
  res.prependOnceListener("finish", () => res.setTimeout(0));
}
