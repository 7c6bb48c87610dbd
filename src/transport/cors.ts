import type { IncomingMessage } from "node:http";

/** Headers that let a page of an allowed origin read the answer; none when there is no such page. */
export function corsHeaders({ headers }: IncomingMessage, allowedOrigins: readonly string[]): Record<string, string> {
  const { origin } = headers;
  if (origin === undefined || allowedOrigins.length === 0) return {};
  const varying = allowedOrigins.length > 1 || allowedOrigins.includes("*");
  const allowed = allowedOrigins.includes("*") || allowedOrigins.includes(origin) ? origin : "null";
  const method = headers["access-control-request-method"];
  const names = headers["access-control-request-headers"];
  const vary = [
    ...(varying && allowed !== "null" ? ["Origin"] : []),
    ...(names === undefined ? [] : ["Access-Control-Request-Headers"]),
  ];
  return {
    "Access-Control-Allow-Origin": varying ? allowed : allowedOrigins[0]!,
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Expose-Headers": "X-Request-Id, X-Session-Id, Retry-After",
    ...(method === undefined ? {} : { "Access-Control-Allow-Methods": method }),
    ...(names === undefined ? {} : { "Access-Control-Allow-Headers": names }),
    ...(vary.length === 0 ? {} : { Vary: vary.join(", ") }),
  };
}
