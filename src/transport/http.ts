import { randomUUID } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import type { ErrorCode } from "../model/errors.ts";
import type { Log } from "../model/ports.ts";
import { corsHeaders } from "./cors.ts";
import type { GraphQL } from "./graphql.ts";
import type { Lean } from "./lean.ts";
import type { OperationSource } from "./operations.ts";
import { mayCall, type OriginRules } from "./origins.ts";

/** Bytes of a request's body. */
const maxBody = 1024 * 1024;

/** The ways to GraphQL: the straight one where there is one, and the one for everything. */
export interface Ways {
  lean: Lean | null;
  graphql: GraphQL;
}

/** The HTTP server: GraphQL and GraphiQL at one path, and a way there from the root. */
export function createHttpServer(
  { lean, graphql }: Ways,
  log: Log,
  { path, origins }: { path: string; origins: OriginRules },
): Server {
  async function answer(req: IncomingMessage, res: ServerResponse, headers: OutgoingHttpHeaders): Promise<void> {
    const source: OperationSource = {
      req,
      requestId: headers["X-Request-Id"] as string,
      authorization: req.headers.authorization ?? null,
      live: req.headers.accept?.includes("text/event-stream") ?? false,
      readOnly: req.method === "GET",
      sessionId: sessionOf(req),
      onSession: (sessionId) => void (headers["X-Session-Id"] = sessionId),
    };
    Object.assign(headers, corsHeaders(req, origins.allowedOrigins));
    let left: IncomingMessage | null = req;
    // With a query in the address yoga may see something else in it.
    const type = lean !== null && req.url === path ? lean.takes(req) : null;
    if (type !== null) left = await lean!.answer(req, res, { type, source, headers });
    if (left === null) return;
    for (const [name, value] of Object.entries(headers)) res.setHeader(name, value!);
    source.onSession = (sessionId) => void res.setHeader("X-Session-Id", sessionId);
    // Before a page's request, its browser asks whether it may send it.
    if (req.method === "OPTIONS" && origins.allowedOrigins.length > 0) {
      return void res.writeHead(204, { "Content-Length": 0 }).end();
    }
    await graphql(left, res, source);
  }

  const server = createServer({ requestTimeout: 60_000, headersTimeout: 30_000 }, (req, res) => {
    const requestId = randomUUID();
    const headers = { ...commonHeaders, "X-Request-Id": requestId } as OutgoingHttpHeaders;
    // While the server stops, clients on open connections are told to go.
    if (!server.listening) headers["Connection"] = "close";
    const refusal = refusalOf(req, origins);
    if (refusal !== null) return refuse(req, res, headers, ...refusal);
    const pathname = pathOf(req);
    if (pathname === path) {
      answer(req, res, headers).catch((error: unknown) => {
        log.error({ error, requestId }, "a request failed");
        if (!res.headersSent) refuse(req, res, headers, 500, "INTERNAL", "Something went wrong on the server.");
      });
      return;
    }
    if (pathname === "/") return void res.writeHead(307, { ...headers, Location: path }).end();
    refuse(req, res, headers, 404, "NOT_FOUND", `There is nothing here; GraphQL is at ${path}.`);
  });
  return server;
}

const commonHeaders = {
  "X-Request-Id": "",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  // GraphiQL keeps the document in its address.
  "Referrer-Policy": "no-referrer",
};

/** The session that a request names. [SES-2] */
function sessionOf({ headers }: IncomingMessage): string | null {
  const named = headers["x-session-id"];
  return typeof named === "string" && named !== "" ? named : null;
}

/** The path that is asked for; null for an address that makes no sense. */
function pathOf({ url = "/" }: IncomingMessage): string | null {
  // Nearly all addresses are plain paths, which reading would give again.
  if (/^\/\w*$/.test(url)) return url;
  return URL.canParse(url, "http://localhost") ? new URL(url, "http://localhost").pathname : null;
}

type Refusal = [status: number, code: ErrorCode, message: string];

/** What is refused before anything reads it. */
function refusalOf(req: IncomingMessage, origins: OriginRules): Refusal | null {
  if (pathOf(req) === null) return [400, "BAD_INPUT", "The address is malformed."];
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
