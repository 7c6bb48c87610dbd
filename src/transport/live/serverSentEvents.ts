import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { ExecutionResult } from "graphql";
import type { Sink } from "./delivery.ts";

/** Bytes that may wait for a client before its stream pauses. */
const maxWaiting = 128 * 1024;
/** So often something is sent over a silent connection, in milliseconds, that nobody between takes it for dead. */
const pingMs = 12_000;

const streamHeaders = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-cache",
  Connection: "keep-alive",
  // For proxies that would gather it in order to compress it.
  "Content-Encoding": "none",
};

/**
 * Answers with server-sent events: `next` for each payload, `complete` at the end. `open` opens a subscription to the
 * sink, and gives the iterator that ends with it, or the errors that kept it from opening. A stream that ends because the
 * server stops says so last.
 */
export async function serveEvents(
  res: ServerResponse,
  headers: OutgoingHttpHeaders,
  open: (sink: Sink) => Promise<ExecutionResult | AsyncIterableIterator<never>>,
  presentError: (error: unknown) => Error,
  farewell: () => Error | null,
): Promise<void> {
  const sink: Sink = {
    get full() {
      return res.writableLength > maxWaiting;
    },
    send: (payload) => void res.write(`event: next\ndata: ${payload}\n\n`),
    whenDrained: (callback) => void res.once("drain", callback),
    opened(close) {
      res.once("close", close);
      // It may be gone already.
      if (res.destroyed) close();
    },
  };
  // Browsers see the head only once something follows.
  res.writeHead(200, { ...headers, ...streamHeaders }).write(":\n\n");
  const subscription = await open(sink);
  if (Symbol.asyncIterator in subscription) {
    const pings = setInterval(() => void (sink.full || res.write(":\n\n")), pingMs);
    const failed = (error: unknown): void => sink.send(JSON.stringify({ errors: [presentError(error)] }));
    await subscription.next().then(() => {
      const reason = farewell();
      if (reason !== null) failed(reason);
    }, failed);
    clearInterval(pings);
  } else sink.send(JSON.stringify(subscription));
  res.end("event: complete\ndata:\n\n");
}
