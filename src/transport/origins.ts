import type { IncomingMessage } from "node:http";

export interface OriginRules {
  /** The server listens on loopback only, where no page from elsewhere has any business. */
  loopback: boolean;
  serverName: string;
  allowedOrigins: readonly string[];
}

const loopbackNames = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Whether a request may be served. On loopback the Host must be the machine's own, so that a page can't reach the server
 * under a name that it made point here; a browser's Origin must be the server's own or an allowed one.
 */
export function mayCall(req: IncomingMessage, rules: OriginRules): boolean {
  const host = req.headers.host ?? "";
  if (rules.loopback && !isOwnName(nameOf(host), rules)) return false;
  const { origin } = req.headers;
  if (origin === undefined || rules.allowedOrigins.includes("*") || rules.allowedOrigins.includes(origin)) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}

function isOwnName(name: string, { serverName, allowedOrigins }: OriginRules): boolean {
  if (loopbackNames.includes(name) || name === nameOf(serverName)) return true;
  return allowedOrigins.some((origin) => URL.canParse(origin) && new URL(origin).hostname === name);
}

function nameOf(host: string): string {
  return host.replace(/:\d+$/, "").toLowerCase();
}
