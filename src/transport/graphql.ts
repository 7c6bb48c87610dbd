import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { createYoga, type Plugin } from "graphql-yoga";
import type { Domain } from "../domain/domain.ts";
import type { Log } from "../model/ports.ts";
import type { Requester } from "../model/requester.ts";
import { createContext } from "../resolvers/context.ts";
import { schema } from "../resolvers/schema.ts";
import { presentError } from "./errors.ts";
import { isLarge, pacedJson } from "./pacedJson.ts";
import { defaultDocument } from "./graphiql.ts";

/** What a transport knows of an operation before it runs. */
export interface OperationSource {
  req: IncomingMessage;
  requestId: string;
  /** The access token as it was shown, with or without `Bearer`; null for none. */
  authorization: string | null;
  /** The operation may outlive the request, as subscriptions do. */
  live: boolean;
}

/** Tokens of one document: far more than people write, far fewer than stall the parser. */
const maxTokens = 1000;

/** GraphQL over HTTP and server-sent events, and the executor that the WebSocket shares. */
export function createGraphQL(domain: Domain, log: Log, options: { endpoint: string; allowedOrigins: string[] }) {
  const { endpoint, allowedOrigins } = options;
  return createYoga<OperationSource>({
    schema,
    graphqlEndpoint: endpoint,
    logging: false,
    batching: false,
    multipart: false,
    landingPage: false,
    cors: allowedOrigins.length === 0 ? false : { origin: allowedOrigins.includes("*") ? "*" : allowedOrigins },
    parserAndValidationCache: true,
    plugins: [limitTokens(), presentErrors(log), paceLargeResults()],
    maskedErrors: {
      maskError: (error) => presentError(error, log, randomUUID()),
    },
    async context(source) {
      const requester = await authenticate(domain, source);
      const { req, requestId, live } = source;
      return createContext(domain, { requester, requestId, origin: originOf(req), live });
    },
    graphiql: { title: "hearth", defaultQuery: defaultDocument, subscriptionsProtocol: "WS" },
    // Loaded when the first browser asks: the page is 9 MB.
    renderGraphiQL: async (graphiql) => (await import("@graphql-yoga/render-graphiql")).renderGraphiQL(graphiql),
  });
}

/** The requester behind an access token; null without one, `UNKNOWN_TOKEN` for one that doesn't hold. */
async function authenticate(domain: Domain, { req, authorization }: OperationSource): Promise<Requester | null> {
  if (authorization === null || authorization.trim() === "") return null;
  return domain.accounts.authenticate(authorization.replace(/^Bearer\s+/i, "").trim(), originOf(req));
}

function originOf(req: IncomingMessage) {
  return { ip: req.socket.remoteAddress ?? null, userAgent: req.headers["user-agent"]?.slice(0, 255) ?? null };
}

function limitTokens(): Plugin {
  return {
    onParse({ setParseFn, parseFn }) {
      setParseFn((source: string, options: object) => parseFn(source, { ...options, maxTokens }));
    },
  };
}

/** Gives every error a code, those of parsing and validating included. */
function presentErrors(log: Log): Plugin<object, OperationSource> {
  return {
    onResultProcess({ result, setResult, serverContext }) {
      if (Array.isArray(result) || !("errors" in result) || !result.errors) return;
      const errors = result.errors.map((error) => presentError(error, log, serverContext.requestId));
      setResult({ ...result, errors });
    },
  };
}

/** A sync of a thousand rooms is megabytes: written in one go it would hold up everybody. */
function paceLargeResults(): Plugin {
  const paced: Plugin = {
    onResultProcess({ request, result, setResultProcessor }) {
      const accept = request.headers.get("accept") ?? "*/*";
      if (
        Array.isArray(result) ||
        !("data" in result) ||
        !/\*\/\*|application\/(\*|json|graphql-response\+json)/.test(accept)
      )
        return;
      if (/event-stream|multipart/.test(accept)) return;
      if (!isLarge(result.data)) return;
      const type = accept.includes("application/graphql-response+json")
        ? "application/graphql-response+json"
        : "application/json";
      const { data, errors, extensions } = result;
      const body = { ...(errors ? { errors } : {}), data, ...(extensions ? { extensions } : {}) };
      setResultProcessor(
        (_result, fetchAPI) =>
          new fetchAPI.Response(pacedJson(body), { headers: { "Content-Type": `${type}; charset=utf-8` } }),
        type,
      );
    },
  };
  // Added last, since the last processor that is set is the one that counts.
  return { onPluginInit: ({ addPlugin }) => addPlugin(paced) };
}
