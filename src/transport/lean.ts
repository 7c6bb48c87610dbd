import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { OperationTypeNode, type ExecutionResult } from "graphql";
import type { Log } from "../model/ports.ts";
import type { Context } from "../schema/context.ts";
import { presentError } from "./errors.ts";
import type { Live } from "./live/live.ts";
import { serveEvents } from "./live/serverSentEvents.ts";
import { isJson, plainAnswerType, type AnswerType } from "./mediaTypes.ts";
import type { OperationRequest, Operations, OperationSource, Prepared } from "./operations.ts";
import { idNamed } from "./persistedOperations.ts";
import { isLarge, pacedJson } from "./pacedJson.ts";

const eventStream = "text/event-stream";

/** What is known of an answer before the request is read. */
interface Form {
  type: AnswerType | typeof eventStream;
  headers: OutgoingHttpHeaders;
}

interface Answering extends Form {
  source: OperationSource;
}

/**
 * The straight way from the socket to the operations and back, for what nearly all requests are: JSON that asks for JSON,
 * or for the event stream as server-sent events. It leaves everything else to yoga, which knows all of the protocol and costs more than a small operation does; what is
 * wrong with a request as well, so that the answer is the same on both ways.
 */
export interface Lean {
  /** The form in which a request may be answered here; null for one that has to go the other way. */
  takes(req: IncomingMessage): Form["type"] | null;
  /**
   * Reads a request that it takes and answers it. Gives the request back, to be read anew, when what was in it has to go
   * the other way after all.
   */
  answer(req: IncomingMessage, res: ServerResponse, form: Answering): Promise<IncomingMessage | null>;
}

export function createLean(operations: Operations, live: Live, log: Log): Lean {
  /** Streams events to a client; false when nothing was begun. */
  async function stream(prepared: Prepared, res: ServerResponse, { source, headers }: Answering): Promise<boolean> {
    let contextValue: Context;
    try {
      contextValue = await operations.context(source);
    } catch {
      return false;
    }
    const present = (error: unknown) => presentError(error, log, source.requestId);
    await serveEvents(
      res,
      headers,
      (sink) => live.subscribe({ ...prepared, contextValue }, sink, present),
      present,
      operations.farewell,
    );
    return true;
  }

  return {
    takes({ method, headers }) {
      if (method !== "POST" || !isJson(headers["content-type"])) return null;
      return headers.accept === eventStream ? eventStream : plainAnswerType(headers.accept);
    },

    async answer(req, res, { type, source, headers }) {
      const body = await bodyOf(req);
      // Nobody waits for an answer.
      if (body === null) return null;
      const request = read(body);
      if (request === null) {
        const refused = operations.unreadable(source);
        if (refused === null) return unread(req, body);
        send(res, { type: type === eventStream ? "application/json" : type, headers }, refused);
        return null;
      }
      const prepared = operations.prepare(request, source);
      if (type === eventStream) {
        const begun =
          !("errors" in prepared) &&
          prepared.operation.operation === OperationTypeNode.SUBSCRIPTION &&
          (await stream(prepared, res, { type, source, headers }));
        return begun ? null : unread(req, body);
      }
      if ("errors" in prepared) {
        send(res, { type, headers }, prepared);
        return null;
      }
      if (prepared.operation.operation === OperationTypeNode.SUBSCRIPTION) return unread(req, body);
      const result = await operations.run(prepared, source);
      if (isLarge(result.data)) await sendPaced(res, { type, headers }, result);
      else send(res, { type, headers }, result);
      return null;
    },
  };
}

/** Everything that the client sends; null when it goes away before the end. */
function bodyOf(req: IncomingMessage): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    req.on("data", (piece: Buffer) => pieces.push(piece));
    req.on("end", () => resolve(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)));
    req.on("close", () => resolve(null));
  });
}

/** What a body asks for; null unless there is nothing at all wrong with it. */
function read(body: Buffer): OperationRequest | null {
  let params: unknown;
  try {
    params = JSON.parse(body.toString());
  } catch {
    return null;
  }
  if (!isObject(params)) return null;
  for (const name in params) if (!readers.has(name) || !readers.get(name)!(params[name])) return null;
  const asks = typeof params["query"] === "string" || idNamed(params) !== null;
  return asks ? (params as OperationRequest) : null;
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null;
const isText = (value: unknown): boolean => typeof value === "string";

const readers = new Map<string, (value: unknown) => boolean>([
  ["query", isText],
  ["documentId", isText],
  ["operationName", (value) => isAbsent(value) || isText(value)],
  ["variables", (value) => isAbsent(value) || isObject(value)],
  ["extensions", (value) => isAbsent(value) || isObject(value)],
]);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The request as it was before its body was read. */
function unread({ method, url, headers, socket }: IncomingMessage, body: Buffer): IncomingMessage {
  return Object.assign(Readable.from([body]), { method, url, headers, socket }) as unknown as IncomingMessage;
}

function send(res: ServerResponse, { type, headers }: Form, result: ExecutionResult): void {
  const text = JSON.stringify(result);
  headers["Content-Type"] = `${type}; charset=utf-8`;
  headers["Content-Length"] = Buffer.byteLength(text);
  res.writeHead(200, headers).end(text);
}

/** A client that goes away in the middle of it gets no more, and that is no news. */
async function sendPaced(res: ServerResponse, { type, headers }: Form, result: ExecutionResult): Promise<void> {
  res.writeHead(200, { ...headers, "Content-Type": `${type}; charset=utf-8` });
  await pipeline(Readable.fromWeb(pacedJson(result) as never), res).catch(() => undefined);
}
