import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { ErrorCode } from "../model/errors.ts";
import type { Log } from "../model/ports.ts";
import type { GraphQL } from "./graphql.ts";
import { mayCall, type OriginRules } from "./origins.ts";

/** Bytes of a request's body. */
const maxBody = 1024 * 1024;

/** The HTTP server: GraphQL and GraphiQL at one path, and a way there from the root. */
export function createHttpServer(
  graphql: GraphQL,
  log: Log,
  { path, origins }: { path: string; origins: OriginRules },
): Server {
  const server = createServer({ requestTimeout: 60_000, headersTimeout: 30_000 }, (req, res) => {
    const requestId = randomUUID();
    res.setHeader("X-Request-Id", requestId);
    res.setHeader("X-Content-Type-Options", "nosniff");
    res.setHeader("X-Frame-Options", "DENY");
    // GraphiQL keeps the document in its address.
    res.setHeader("Referrer-Policy", "no-referrer");
    // While the server stops, clients on open connections are told to go.
    if (!server.listening) res.setHeader("Connection", "close");
    const refusal = refusalOf(req, origins);
    if (refusal !== null) return refuse(req, res, ...refusal);
    const { pathname } = new URL(req.url ?? "/", "http://localhost");
    if (pathname === path) {
      const authorization = req.headers.authorization ?? null;
      const live = req.headers.accept?.includes("text/event-stream") ?? false;
      const readOnly = req.method === "GET";
      Promise.resolve(graphql(req, res, { req, requestId, authorization, live, readOnly })).catch((error: unknown) => {
        log.error({ error, requestId }, "a request failed");
        if (!res.headersSent) refuse(req, res, 500, "INTERNAL", "Something went wrong on the server.");
      });
      return;
    }
    if (pathname === "/") return void res.writeHead(307, { Location: path }).end();
    refuse(req, res, 404, "NOT_FOUND", `There is nothing here; GraphQL is at ${path}.`);
  });
  return server;
}

type Refusal = [status: number, code: ErrorCode, message: string];

/** What is refused before anything reads it. */
function refusalOf(req: IncomingMessage, origins: OriginRules): Refusal | null {
  if (!URL.canParse(req.url ?? "/", "http://localhost")) return [400, "BAD_INPUT", "The address is malformed."];
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
function refuse(req: IncomingMessage, res: ServerResponse, ...[status, code, message]: Refusal): void {
  const body = JSON.stringify({ errors: [{ message, extensions: { code } }] });
  res.writeHead(status, { "Content-Type": "application/json; charset=utf-8", Connection: "close" }).end(body);
  req.resume();
}
