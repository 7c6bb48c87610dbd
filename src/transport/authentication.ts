import type { IncomingMessage } from "node:http";
import type { Domain } from "../domain/domain.ts";
import { HearthError } from "../model/errors.ts";
import type { Requester } from "../model/requester.ts";

/** What tells who asks. */
export interface Asking {
  req: IncomingMessage;
  requestId: string;
  /** Where the request came from, if that can be told. */
  address: string | null;
  /** The access token as it was shown, with or without `Bearer`; null for none. */
  authorization: string | null;
  /** The session that the request says it belongs to; null where it doesn't say. [SES-2] */
  sessionId: string | null;
  /** Is told which session is active, before anything is done. */
  onSession?: (sessionId: string) => void;
}

/**
 * The requester behind an access token; null without one, `UNKNOWN_TOKEN` for one that doesn't hold. The request counts,
 * whoever asks: `RATE_LIMITED` for too many.
 */
export async function authenticate(domain: Domain, asking: Asking): Promise<Requester | null> {
  const accessToken = accessTokenOf(asking.authorization);
  if (accessToken === null) {
    domain.limits.strangersRequest(asking.address);
    return null;
  }
  const requester = await domain.accounts.authenticate(accessToken, originOf(asking));
  domain.limits.request(requester);
  return { ...requester, requestId: asking.requestId };
}

/** The token itself; null for none. */
export function accessTokenOf(authorization: string | null): string | null {
  if (authorization === null || authorization.trim() === "") return null;
  return authorization.replace(/^Bearer\s+/i, "").trim();
}

/** Gives the id of a session that begins with this request, null for one that was there; throws `STALE_SESSION`. [SES-1] */
export async function countToSession(
  domain: Domain,
  requester: Requester,
  { sessionId, onSession }: Asking,
): Promise<string | null> {
  try {
    const found = domain.sessions.request(requester, sessionId);
    // Nearly always there at once.
    const { session, fresh } = found instanceof Promise ? await found : found;
    onSession?.(session.sessionId);
    return fresh ? session.sessionId : null;
  } catch (error) {
    if (error instanceof HearthError && error.code === "STALE_SESSION") onSession?.(String(error.details["sessionId"]));
    throw error;
  }
}

/** Where a request came from, for the list of devices. */
export function originOf({ req, address }: Pick<Asking, "req" | "address">) {
  return { ip: address, userAgent: req.headers["user-agent"]?.slice(0, 255) ?? null };
}

/** The session that a request names in its headers. [SES-2] */
export function sessionOf({ headers }: IncomingMessage): string | null {
  const named = headers["x-session-id"];
  return typeof named === "string" && named !== "" ? named : null;
}
