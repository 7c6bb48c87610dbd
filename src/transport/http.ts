import { randomUUID } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import { busy } from "../domain/atMost.ts";
import { retryAfterMs, type ErrorCode } from "../model/errors.ts";
import type { Log } from "../model/ports.ts";
import type { AddressOf } from "./address.ts";
import { sessionOf } from "./authentication.ts";
import { corsHeaders } from "./cors.ts";
import type { GraphiQLPage } from "./graphiqlPage.ts";
import type { GraphQL } from "./graphql.ts";
import { retryAfterSeconds } from "./errors.ts";
import type { Lean } from "./lean.ts";
import type { OperationSource } from "./operations.ts";
import { mayCall, type OriginRules } from "./origins.ts";
import { Load } from "./load.ts";
import { Patience } from "./patience.ts";
import { isForOperators } from "./rest/operators.ts";
import type { Rest } from "./rest/rest.ts";
import { Turns } from "./turns.ts";
import { givenRequestId, nobodyWatches, type Served, type Watch } from "./watch.ts";

/** Milliseconds in which a request has to come. */
const requestMs = 60_000;
/** Bytes of a request's body. */
const maxBody = 1024 * 1024;

/** The ways to GraphQL, the straight one where there is one and the one for everything; and REST. */
export interface Ways {
  lean: Lean | null;
  graphql: GraphQL;
  rest: Rest;
  /** Null where only operations run that the server knows: there is nothing to try out. */
  page: GraphiQLPage | null;
}

/** Where GraphQL is served, for whom, and how it is told where they are. */
export interface Place {
  path: string;
  origins: OriginRules;
  addressOf: AddressOf;
}

/** The HTTP server: GraphQL and GraphiQL at one path, a way there from the root, and REST below paths of its own. */
export function createHttpServer(
  { lean, graphql, rest, page }: Ways,
  log: Log,
  { path, origins, addressOf }: Place,
  { watch = nobodyWatches, load = new Load(Infinity) }: { watch?: Watch; load?: Load } = {},
): Server {
  async function answer(
    req: IncomingMessage,
    res: ServerResponse,
    { headers, served }: { headers: OutgoingHttpHeaders; served: Served },
  ): Promise<void> {
    const source: OperationSource = {
      ...{ req, served, address: addressOf(req) },
      requestId: headers["X-Request-Id"] as string,
      authorization: req.headers.authorization ?? null,
      live: req.headers.accept?.includes("text/event-stream") ?? false,
      readOnly: req.method === "GET",
      sessionId: sessionOf(req),
      onSession: (sessionId) => void (headers["X-Session-Id"] = sessionId),
      onRetryAfter: (seconds) => void (headers["Retry-After"] = seconds),
    };
    Object.assign(headers, corsHeaders(req, origins.allowedOrigins));
    if (page?.takes(req)) return page.answer(req, res, { headers, address: source.address });
    let left: IncomingMessage | null = req;
    // With a query in the address yoga may see something else in it.
    const type = lean !== null && req.url === path ? lean.takes(req) : null;
    if (type !== null) left = await lean!.answer(req, res, { type, source, headers });
    if (left === null) return;
    for (const [name, value] of Object.entries(headers)) res.setHeader(name, value!);
    source.onSession = (sessionId) => void res.setHeader("X-Session-Id", sessionId);
    source.onRetryAfter = (seconds) => void res.setHeader("Retry-After", seconds);
    // Before a page's request, its browser asks whether it may send it.
    if (req.method === "OPTIONS" && origins.allowedOrigins.length > 0) {
      return void res.writeHead(204, { "Content-Length": 0 }).end();
    }
    await graphql(left, res, source);
  }

  // Node has one limit for all requests, and files take longer than others.
  const patience = new Patience(requestMs);
  const turns = new Turns();
  const server = createServer({ requestTimeout: 0, headersTimeout: 30_000 }, (req, res) => {
    // Without a look at what is in it; but whoever looks after the server is to see how it is, and pages are to be told.
    const pathname = pathOf(req);
    if (load.full && req.method !== "OPTIONS" && !isForOperators(pathname ?? "")) {
      patience.begin(req, res);
      watch.shed(pathname === path ? "http" : "rest");
      return refuseBusy(req, res, pathname === path ? busyAnswers.graphql : busyAnswers.rest);
    }
    patience.begin(req, res);
    turns.begin(req, res);
    const requestId = givenRequestId(req.headers["x-request-id"]) ?? randomUUID();
    const headers = { ...commonHeaders, "X-Request-Id": requestId } as OutgoingHttpHeaders;
    // While the server stops, clients on open connections are told to go.
    if (!server.listening) headers["Connection"] = "close";
    const byRest = pathname !== null && pathname !== path && rest.takes(pathname);
    const transport = byRest ? "rest" : "http";
    const { traceparent } = req.headers;
    const served = watch.begin({ requestId, transport, method: req.method ?? null, path: pathname, traceparent });
    res.once("close", () => served.end(res.headersSent ? res.statusCode : null));
    if (byRest) {
      const allow = (ms: number): void => patience.allow(req, ms);
      // What answers hold open, such as files, is held open for one request of a connection at a time.
      const place = { address: addressOf(req), allow, served };
      return turns.await(res, () => served.run(() => rest.answer(req, res, headers, place)));
    }
    const refusal = refusalOf(req, pathname, origins);
    if (refusal !== null) return refuse(req, res, headers, ...refusal);
    if (pathname === path) {
      served
        .run(() => answer(req, res, { headers, served }))
        .catch((error: unknown) => {
          log.error({ error, requestId }, "a request failed");
          if (!res.headersSent) refuse(req, res, headers, 500, "INTERNAL", "Something went wrong on the server.");
        });
      return;
    }
    if (pathname === "/") return void res.writeHead(307, { ...headers, Location: path }).end();
    refuse(req, res, headers, 404, "NOT_FOUND", `There is nothing here; GraphQL is at ${path}.`);
  });
  server.on("listening", () => patience.watch()).on("close", () => patience.end());
  return server;
}

const commonHeaders = {
  "X-Request-Id": "",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  // GraphiQL keeps the document in its address.
  "Referrer-Policy": "no-referrer",
};

/** The path that is asked for; null for an address that makes no sense. */
function pathOf({ url = "/" }: IncomingMessage): string | null {
  // Nearly all addresses are plain paths, which reading would give again.
  if (/^\/\w*$/.test(url)) return url;
  return URL.canParse(url, "http://localhost") ? new URL(url, "http://localhost").pathname : null;
}

type Refusal = [status: number, code: ErrorCode, message: string];

/** What is refused before anything reads it. */
function refusalOf(req: IncomingMessage, pathname: string | null, origins: OriginRules): Refusal | null {
  if (pathname === null) return [400, "BAD_INPUT", "The address is malformed."];
  if (!mayCall(req, origins)) return [403, "FORBIDDEN", "This origin or host name may not call the server."];
  if (req.method !== "POST") return null;
  // There are no cookies, so there is nothing to forge with; yet a form on a foreign page shall reach nothing at all.
  if (!/^application\/(json|graphql\+json)\b/i.test(req.headers["content-type"] ?? "")) {
    return [415, "BAD_INPUT", "Content-Type: send application/json."];
  }
  const length = req.headers["content-length"];
  if (length === undefined) return [411, "BAD_INPUT", "Content-Length: is missing."];
  if (Number(length) > maxBody) return [413, "TOO_LARGE", `The body is larger than ${maxBody} bytes.`];
  return null;
}

/** Tells a caller to come back later, who may keep the connection for it. */
function refuseBusy(req: IncomingMessage, res: ServerResponse, answer: Buffer): void {
  res.writeHead(503, { ...busyHeaders, "Content-Length": answer.length }).end(answer);
  req.resume();
}

const busyHeaders = {
  "Content-Type": "application/json; charset=utf-8",
  "X-Content-Type-Options": "nosniff",
  // There is nothing in it that a page may not read.
  "Access-Control-Allow-Origin": "*",
  "Retry-After": retryAfterSeconds(retryAfterMs),
};

const busyAnswers = ((): { graphql: Buffer; rest: Buffer } => {
  const { code, message, details } = busy();
  const errors = [{ message, extensions: { code, ...details } }];
  const error = { errcode: "M_UNKNOWN", error: message, code, retry_after_ms: retryAfterMs };
  return { graphql: Buffer.from(JSON.stringify({ errors })), rest: Buffer.from(JSON.stringify(error)) };
})();

/** Answers in GraphQL's form, and lets go of what the client still sends. */
function refuse(
  req: IncomingMessage,
  res: ServerResponse,
  headers: OutgoingHttpHeaders,
  ...[status, code, message]: Refusal
): void {
  const body = JSON.stringify({ errors: [{ message, extensions: { code } }] });
  const type = "application/json; charset=utf-8";
  res.writeHead(status, { ...headers, "Content-Type": type, Connection: "close" }).end(body);
  req.resume();
}
