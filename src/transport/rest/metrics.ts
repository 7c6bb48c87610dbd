import type { IncomingMessage } from "node:http";
import { HearthError } from "../../model/errors.ts";
import { accessTokenOf } from "../authentication.ts";
import { isSameSecret } from "../secrets.ts";
import type { Routes } from "./routes.ts";

export interface MetricsSource {
  /** What there is to measure, in the form that Prometheus reads. */
  metrics(): Promise<string>;
  /** Who may see it: who shows this token; null: who asks on the machine itself. */
  token: string | null;
}

/** Of the text form. */
const contentType = "text/plain; version=0.0.4; charset=utf-8";

/** What there is to measure, for those who run the server: it tells more than users are to know. */
export function metricsRoutes({ metrics, token }: MetricsSource): (routes: Routes) => void {
  return (routes) => {
    routes.on("GET", "/metrics", async ({ env: { incoming } }) => {
      if (token === null) demandNear(incoming);
      else demandToken(incoming, token);
      return new Response(await metrics(), { headers: { "Content-Type": contentType, "Cache-Control": "no-store" } });
    });
  };
}

function demandToken({ headers }: IncomingMessage, token: string): void {
  const shown = accessTokenOf(headers.authorization ?? null);
  if (shown === null) throw new HearthError("UNAUTHENTICATED", "This needs the token of HEARTH_METRICS_TOKEN.");
  if (!isSameSecret(shown, token))
    throw new HearthError("UNKNOWN_TOKEN", "The token is not that of HEARTH_METRICS_TOKEN.");
}

/**
 * The names that a machine has for itself. A page that somebody on it looks at may have made a name of its own lead there,
 * and a page under another address says so in its Origin.
 */
const ownNames = /^(localhost|127\.[\d.]+|\[::1\]|[^.:]+)(:\d+)?$/i;
const near = /^(127\.|::1$|::ffff:127\.)/;
/** What proxies add: behind one on the same machine everybody seems to be near. */
const byProxies = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

function demandNear({ headers, socket }: IncomingMessage): void {
  const isNear = near.test(socket.remoteAddress ?? "");
  const byPage = headers.origin !== undefined || !ownNames.test(headers.host ?? "");
  if (isNear && !byPage && !byProxies.some((name) => name in headers)) return;
  throw new HearthError("FORBIDDEN", "Without HEARTH_METRICS_TOKEN this is for the server's own machine.");
}
