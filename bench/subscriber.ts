import { WebSocket } from "ws";

const document = `subscription {
  eventStream { events { id type senderId sentAt content } stream limited }
}`;

export interface SubscriberEvents {
  /** An event came; `sentAt` is the mark that `markedBody` put into its text. */
  delivered(sentAt: number): void;
  /** The server left events out because this subscriber was too slow. */
  limited(): void;
  failed(error: Error): void;
}

/** A text that tells when it was sent, on this process's clock. */
export function markedBody(): string {
  return `sent=${performance.now().toFixed(3)};`;
}

const mark = /sent=([\d.]+);/g;

/** Opens a socket, subscribes, and resolves when the stream is live; gives what closes it. */
export function subscribe(address: string, authorization: string, on: SubscriberEvents): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${address.replace("http", "ws")}/graphql`, "graphql-transport-ws", {
      perMessageDeflate: false,
    });
    let live = false;
    let closing = false;
    const fail = (error: Error): void => {
      if (!live) reject(error);
      else if (!closing) on.failed(error);
    };
    const close = (): void => {
      closing = true;
      socket.terminate();
    };
    const send = (message: object): void => socket.send(JSON.stringify(message));
    socket.on("open", () => send({ type: "connection_init", payload: { authorization } }));
    socket.on("error", fail);
    socket.on("close", (code, reason) => fail(new Error(`the socket was closed: ${code} ${reason.toString()}`)));
    socket.on("message", (data: Buffer) => {
      const text = data.toString();
      if (text.includes('"type":"connection_ack"')) {
        return send({ id: "1", type: "subscribe", payload: { query: document } });
      }
      if (text.includes('"type":"ping"')) return send({ type: "pong" });
      if (!text.includes('"type":"next"') || text.includes('"errors":')) return fail(new Error(text.slice(0, 300)));
      if (!live) {
        live = true;
        return resolve(close);
      }
      // Looking for the marks is much cheaper than parsing, of which thousands of subscribers do a lot.
      for (const [, sentAt] of text.matchAll(mark)) on.delivered(Number(sentAt));
      if (text.includes('"limited":true')) on.limited();
    });
  });
}
