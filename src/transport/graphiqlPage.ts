import { createHash } from "node:crypto";
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Limits } from "../domain/limits/limits.ts";
import { HearthError } from "../model/errors.ts";
import { retryAfterSeconds } from "./errors.ts";
import { defaultDocument } from "./graphiql.ts";

/** As many requests does the page count for, which is megabytes. */
const worth = 20;

interface Rendered {
  plain: Buffer;
  zipped: Buffer;
  tag: string;
}

/** GraphiQL, in which people try out the server. It is the same for all and as long as the server runs, so made once. */
export class GraphiQLPage {
  readonly #limits: Limits;
  #rendered: Promise<Rendered> | null = null;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Whether a browser asks for it. */
  takes({ method, headers }: IncomingMessage): boolean {
    return method === "GET" && (headers.accept?.includes("text/html") ?? false);
  }

  async answer(
    req: IncomingMessage,
    res: ServerResponse,
    { headers, address }: { headers: OutgoingHttpHeaders; address: string | null },
  ): Promise<void> {
    try {
      this.#limits.strangersRequest(address, worth);
    } catch (error) {
      if (!(error instanceof HearthError)) throw error;
      const later = { "Retry-After": retryAfterSeconds(Number(error.details["retryAfterMs"])) };
      return void res.writeHead(429, { ...headers, ...later, "Content-Type": "text/plain" }).end(error.message);
    }
    const { plain, zipped, tag } = await (this.#rendered ??= render());
    const kept = { ...headers, ETag: tag, "Cache-Control": "no-cache", Vary: "Accept-Encoding" };
    if (req.headers["if-none-match"] === tag) return void res.writeHead(304, kept).end();
    const body = /\bgzip\b/.test(String(req.headers["accept-encoding"])) ? zipped : plain;
    res
      .writeHead(200, {
        ...{ ...kept, "Content-Type": "text/html; charset=utf-8", "Content-Length": body.length },
        ...(body === zipped ? { "Content-Encoding": "gzip" } : {}),
      })
      .end(body);
  }
}

/** Loaded when the first browser asks: the page is 9 MB. */
async function render(): Promise<Rendered> {
  const { renderGraphiQL } = await import("@graphql-yoga/render-graphiql");
  const options = { title: "hearth", defaultQuery: defaultDocument, subscriptionsProtocol: "WS" as const };
  const plain = Buffer.from(renderGraphiQL(options));
  const tag = `"${createHash("sha256").update(plain).digest("base64url")}"`;
  return { plain, zipped: await promisify(gzip)(plain), tag };
}
