import type { IncomingMessage } from "node:http";

export interface OriginRules {
  /** The server listens on loopback only, where no page from elsewhere has any business. */
  loopback: boolean;
  serverName: string;
  /** The address that clients reach it by, where the settings name one. */
  publicUrl: string | null;
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

/**
 * The same for REST. Its requests carry nothing that their page didn't put there, so that pages of all origins may call,
 * as the Matrix API has it, where the server goes by a name of its own. Under the machine's names it is somebody's own
 * machine, whose server is for the pages that are meant for it: there the rule is GraphQL's, which keeps any page that
 * is looked at from registering and guessing. Under no other name is a server on loopback reached at all.
 */
export function mayCallRest(req: IncomingMessage, rules: OriginRules): boolean {
  const name = nameOf(req.headers.host ?? "");
  if (rules.loopback && !loopbackNames.includes(name)) return isOwnName(name, rules);
  return !rules.loopback || mayCall(req, rules);
}

function isOwnName(name: string, { serverName, publicUrl, allowedOrigins }: OriginRules): boolean {
  if (loopbackNames.includes(name) || name === nameOf(serverName)) return true;
  if (publicUrl !== null && name === new URL(publicUrl).hostname) return true;
  return allowedOrigins.some((origin) => URL.canParse(origin) && new URL(origin).hostname === name);
}

function nameOf(host: string): string {
  return host.replace(/:\d+$/, "").toLowerCase();
}
