import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Whether the requests before it on the same connection are still being answered. */
export function isQueued(res: ServerResponse): boolean {
  return res.socket === null && !res.writableFinished && !res.destroyed;
}

/**
 * The order of requests that a client sends on one connection without waiting for answers. Node knows it, but tells an
 * answer that its connection is gone only when it is its turn; whatever was begun for those behind it would stay for good.
 */
export class Turns {
  readonly #last = new WeakMap<Socket, ServerResponse>();
  readonly #before = new WeakMap<ServerResponse, ServerResponse>();

  /** Called with each request as it comes. */
  begin({ socket }: IncomingMessage, res: ServerResponse): void {
    const before = this.#last.get(socket);
    this.#last.set(socket, res);
    if (before === undefined || !isQueued(res)) return;
    this.#before.set(res, before);
    before.once("close", () => {
      this.#before.delete(res);
      if (!socket.destroyed || res.destroyed) return;
      res.destroy();
      res.emit("close");
    });
  }

  /** Does something when it is an answer's turn, at once if it is; never when its connection is gone before. */
  await(res: ServerResponse, then: () => void): void {
    const before = this.#before.get(res);
    if (before === undefined || !isQueued(res)) return then();
    before.once("close", () => {
      if (!res.destroyed) then();
    });
  }
}
