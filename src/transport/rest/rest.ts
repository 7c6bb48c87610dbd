import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { cors } from "hono/cors";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Log } from "../../model/ports.ts";
import { HearthError } from "../../model/errors.ts";
import { mayCallRest, type OriginRules } from "../origins.ts";
import type { Served } from "../watch.ts";
import { presentRestError, RestError, type Refused } from "./errors.ts";
import { isForOperators } from "./operators.ts";
import {
  addRoutes,
  type AddRoutes,
  type Answering,
  type Documented,
  type RestContext,
  type RestEnvironment,
  type RestPlace,
} from "./routes.ts";

/** What this API's addresses begin with. */
const prefixes = ["/_matrix/", "/_hearth/"];
/** The paths of the application-service draft, which have no prefix. [AS-1, AS-2] */
const bare = /^\/(register|unregister)\/?$|^\/rooms\/[^/]+\/send\//;

/** The document of all calls, and the page that shows it. [AS-13] */
const documents = /^\/(openapi\.json|api)\/?$/;

const kinds: Readonly<Record<string, Served["operation"]>> = {
  ...{ GET: "read", HEAD: "read", POST: "write", PUT: "write", DELETE: "write" },
};

/** The REST API: everything below its prefixes. */
export interface Rest {
  /** The calls that are documented. */
  calls: readonly Documented[];
  /** Whether a path is below one of the prefixes, one of the bare ones of the draft, or the API's own description. */
  takes(pathname: string): boolean;
  /** Answers whatever comes there; `headers` are those of every answer. */
  answer(
    req: IncomingMessage,
    res: ServerResponse,
    headers: OutgoingHttpHeaders,
    place: Omit<RestPlace, "requestId">,
  ): void;
}

/** Makes the API of the routes that are added. */
export function createRest(adders: readonly AddRoutes[], answering: Answering, log: Log, origins: OriginRules): Rest {
  // The path holds with a trailing slash, too.
  const app = new Hono<RestEnvironment>({ strict: false });
  // Nothing rides along with a request that its page doesn't know: there are no cookies. So every page may read answers.
  app.use(
    cors({
      origin: "*",
      allowMethods: ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"],
      allowHeaders: [
        "X-Requested-With",
        "Content-Type",
        "Authorization",
        "Date",
        "Range",
        "If-None-Match",
        "X-Session-Id",
      ],
      exposeHeaders: ["X-Request-Id", "X-Session-Id", "Retry-After", "Content-Disposition", "Content-Range", "ETag"],
      maxAge: 86_400,
    }),
  );
  app.use(async ({ env: { incoming } }, next) => {
    if (mayCallRest(incoming, origins)) return next();
    throw new RestError(403, "M_FORBIDDEN", "This origin or host name may not call the server.");
  });
  const calls = addRoutes(app, adders, answering);
  app.notFound((context) => {
    answering.count(context as RestContext);
    throw new RestError(404, "M_UNRECOGNIZED", "There is no such path.");
  });
  app.onError((error, context) => {
    const { status, body, headers } = presentRestError(error, log, context.env.requestId);
    if (error instanceof HearthError) context.env.served.refused(error.code);
    return context.json(body, status as ContentfulStatusCode, headers);
  });

  return {
    calls,
    takes: (pathname) =>
      prefixes.some((prefix) => pathname.startsWith(prefix)) ||
      [bare, documents].some((pattern) => pattern.test(pathname)) ||
      isForOperators(pathname),
    answer(req, res, headers, place) {
      for (const [name, value] of Object.entries(headers)) res.setHeader(name, value!);
      const requestId = headers["X-Request-Id"] as string;
      place.served.operation = kinds[req.method ?? ""] ?? "other";
      const listener = getRequestListener(
        (request, bindings) => app.fetch(request, { ...bindings, ...place, requestId }),
        {
          overrideGlobalObjects: false,
          // HTTP/1.0 may come without a Host.
          hostname: "localhost",
          // What Hono itself can't make sense of never reaches the application.
          errorHandler: (error) => json(presentRestError(unreadable(error), log, requestId)),
        },
      );
      void listener(req, res);
    },
  };
}

/** What is wrong with a request that can't be told in Hono's terms. */
function unreadable(error: unknown): unknown {
  return error instanceof Error && error.name === "RequestError"
    ? new RestError(400, "M_UNRECOGNIZED", "The request is malformed.")
    : error;
}

function json({ status, body, headers = {} }: Refused): Response {
  return Response.json(body, { status, headers });
}
