import type { WebSocket } from "ws";
import { openSocket } from "../../subscriber.ts";

interface Waiting {
  resolve(answer: string): void;
  reject(error: Error): void;
}

/** One WebSocket over which a client asks what it could ask over HTTP. */
export interface RequestSocket {
  /** Sends a GraphQL request; gives the text of the message that answers it, which is data without errors. */
  ask(request: object): Promise<string>;
  close(): void;
}

/** Opens a socket for requests, and resolves when the server has accepted its user. */
export function openRequestSocket(address: string, authorization: string): Promise<RequestSocket> {
  return new Promise((resolve, reject) => {
    const socket = openSocket(address);
    const waiting = new Map<string, Waiting>();
    const fail = (error: Error): void => {
      reject(error);
      for (const each of waiting.values()) each.reject(error);
      waiting.clear();
    };
    socket.on("open", () => socket.send(JSON.stringify({ type: "connection_init", payload: { authorization } })));
    socket.on("error", fail);
    socket.on("close", (code, reason) => fail(new Error(`the socket was closed: ${code} ${reason.toString()}`)));
    socket.on("message", (data: Buffer) => {
      const text = data.toString();
      if (text.includes('"type":"connection_ack"')) return resolve(requestsOver(socket, waiting));
      if (text.includes('"type":"ping"')) return socket.send('{"type":"pong"}');
      answer(text, waiting);
    });
  });
}

function requestsOver(socket: WebSocket, waiting: Map<string, Waiting>): RequestSocket {
  let asked = 0;
  return {
    ask: (payload) =>
      new Promise((resolve, reject) => {
        const id = String(asked++);
        waiting.set(id, { resolve, reject });
        socket.send(JSON.stringify({ id, type: "subscribe", payload }));
      }),
    close: () => socket.terminate(),
  };
}

function answer(text: string, waiting: Map<string, Waiting>): void {
  const id = /"id":"(\d+)"/.exec(text)?.[1] ?? "";
  const found = waiting.get(id);
  // What says that an answered request is complete is no news.
  if (found === undefined) return;
  waiting.delete(id);
  if (text.includes('"type":"next"') && !text.includes('"errors":')) found.resolve(text);
  else found.reject(new Error(text.slice(0, 300)));
}
