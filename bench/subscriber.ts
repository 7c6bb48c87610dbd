import { WebSocket } from "ws";
import { marksIn } from "./peers/marks.ts";
import type { Follower, FollowerEvents } from "./peers/peer.ts";

const document = `subscription ($stream: StreamToken) {
  eventStream(stream: $stream) { events { id type senderId sentAt content } stream limited }
}`;

/** Opens a socket, subscribes, and resolves when the stream is live. */
export function subscribe(
  address: string,
  authorization: string,
  on: FollowerEvents,
  stream: string | null = null,
): Promise<Follower> {
  return new Promise((resolve, reject) => {
    const socket = openSocket(address);
    let live = false;
    let closing = false;
    let newest: Buffer = Buffer.alloc(0);
    const fail = (error: Error): void => {
      if (!live) reject(error);
      else if (!closing) on.failed(error);
    };
    const follower: Follower = {
      place: () => /"stream":"([^"]+)"/.exec(newest.toString())![1]!,
      close() {
        closing = true;
        socket.terminate();
      },
    };
    const send = (message: object): void => socket.send(JSON.stringify(message));
    socket.on("open", () => send({ type: "connection_init", payload: { authorization } }));
    socket.on("error", fail);
    socket.on("close", (code, reason) => fail(new Error(`the socket was closed: ${code} ${reason.toString()}`)));
    socket.on("message", (data: Buffer) => {
      const text = data.toString();
      if (text.includes('"type":"connection_ack"')) {
        return send({ id: "1", type: "subscribe", payload: { query: document, variables: { stream } } });
      }
      if (text.includes('"type":"ping"')) return send({ type: "pong" });
      if (!text.includes('"type":"next"') || text.includes('"errors":')) return fail(new Error(text.slice(0, 300)));
      newest = data;
      on.chunk?.();
      for (const mark of marksIn(text)) on.delivered(mark);
      if (text.includes('"limited":true')) on.limited();
      if (live) return;
      live = true;
      resolve(follower);
    });
  });
}

/** A socket to a server's GraphQL. */
export function openSocket(address: string): WebSocket {
  return new WebSocket(`${address.replace("http", "ws")}/graphql`, "graphql-transport-ws", {
    perMessageDeflate: false,
  });
}
