import { Buffer } from "node:buffer";
import type { z } from "zod";
import type { Origin } from "../../domain/accounts.ts";
import type { Domain } from "../../domain/domain.ts";
import { check } from "../../model/check.ts";
import { HearthError } from "../../model/errors.ts";
import type { AppService } from "../../model/appService.ts";
import type { Requester } from "../../model/requester.ts";
import { accessTokenOf, authenticate, countToSession, originOf, sessionOf } from "../authentication.ts";
import { RestError } from "./errors.ts";
import { isForOperators } from "./operators.ts";
import type { RestContext } from "./routes.ts";

/** Bytes of a JSON body. */
const maxJson = 1024 * 1024;
/** Milliseconds in which something more of a body has to come. */
const stallMs = 30_000;

/**
 * Who asks, by a Bearer token or `?access_token=`; the request counts to their session. An application service asks as its
 * own user, or whomever `?user_id=` or `?user_token=` name. Throws `UNAUTHENTICATED` without a token, `UNKNOWN_TOKEN`,
 * `STALE_SESSION`, and `FORBIDDEN` for users whom the service can't act as. [SES-1, AS-6]
 */
export async function signedIn(domain: Domain, context: RestContext): Promise<Requester> {
  const { incoming: req, outgoing, address, served, requestId } = context.env;
  const authorization = authorizationOf(context);
  const service = serviceShown(domain, context);
  if (service !== null) {
    domain.services.delivery.seen(service.id);
    const acting = { userId: context.req.query("user_id") ?? null, userToken: context.req.query("user_token") ?? null };
    const requester = await domain.services.identity.requester(service, acting, originIn(context));
    served.userId = requester.userId;
    domain.limits.request(requester);
    countChange(domain, requester, context);
    // A service's users have a session only where it has said something of them.
    if (domain.sessions.of(requester) !== null) await domain.sessions.request(requester, null);
    return { ...requester, requestId };
  }
  const onSession = (sessionId: string): void => void outgoing.setHeader("X-Session-Id", sessionId);
  const asking = { req, requestId, address, authorization, sessionId: sessionOf(req), onSession };
  const requester = await authenticate(domain, asking);
  if (requester === null) throw new HearthError("UNAUTHENTICATED", "This needs an access token.");
  served.userId = requester.userId;
  countChange(domain, requester, context);
  await countToSession(domain, requester, asking);
  return requester;
}

/** By what other methods than these ask for, something changes. */
const readingMethods = ["GET", "HEAD"];

function countChange({ limits }: Domain, requester: Requester, { req }: RestContext): void {
  if (!readingMethods.includes(req.method)) limits.changes(requester);
}

/** Counts a request that isn't a user's: a service's where its token is shown, else one of a stranger. Throws `RATE_LIMITED`. */
export function countOpen(domain: Domain, context: RestContext): void {
  // A supervisor would take a refusal for a server that is down.
  if (isForOperators(context.req.path)) return;
  const service = serviceShown(domain, context);
  if (service === null) domain.limits.strangersRequest(context.env.address);
  else domain.limits.serviceRequest(service);
}

/** The application service that asks. Throws `UNAUTHENTICATED` without a token, `UNKNOWN_TOKEN` for any but a service's. */
export function serviceOf(domain: Domain, context: RestContext): { serviceId: string } {
  const service = serviceShown(domain, context);
  if (service !== null) return { serviceId: service.id };
  if (!showsToken(context)) {
    throw new HearthError("UNAUTHENTICATED", "This needs the access token of an application service.");
  }
  throw new HearthError("UNKNOWN_TOKEN", "The access token is that of no application service.");
}

/** The application service whose token is shown; null without a token, and for people's. */
function serviceShown(domain: Domain, context: RestContext): AppService | null {
  const accessToken = accessTokenOf(authorizationOf(context));
  return accessToken === null ? null : domain.services.identity.service(accessToken);
}

/** Where the request came from. */
export function originIn({ env: { incoming: req, address } }: RestContext): Origin {
  return originOf({ req, address });
}

/** Whether any access token is shown, be it good or not. */
export function showsToken(context: RestContext): boolean {
  return accessTokenOf(authorizationOf(context)) !== null;
}

function authorizationOf(context: RestContext): string | null {
  return context.req.header("authorization") ?? context.req.query("access_token") ?? null;
}

/** The parameters of the address after the question mark; throws `BAD_INPUT` that names the wrong one. */
export function queryOf<T extends z.ZodType>(context: RestContext, schema: T): z.output<T> {
  return check(schema, context.req.query());
}

/**
 * The JSON that a request brings; no body at all stands for `{}`, as clients of this API send it. Throws `TOO_LARGE`,
 * `M_NOT_JSON`, and `BAD_INPUT` that names the wrong field.
 */
export async function jsonOf<T extends z.ZodType>(context: RestContext, schema: T): Promise<z.output<T>> {
  const text = await textOf(context);
  let value: unknown;
  try {
    value = text === "" ? {} : JSON.parse(text);
  } catch {
    throw new RestError(400, "M_NOT_JSON", "The body is no JSON.");
  }
  return check(schema, value);
}

/**
 * What a request brings, piece by piece, as fast as it is taken. Throws `BAD_INPUT` when the client goes away or stalls.
 * Who stops early may still answer: what comes then is left to the connection's end.
 */
export async function* piecesOf({ env: { incoming } }: RestContext): AsyncGenerator<Buffer> {
  const stalled = () => incoming.destroy(new Error("The client stalls."));
  incoming.setTimeout(stallMs, stalled);
  try {
    for await (const piece of incoming.iterator({ destroyOnReturn: false })) yield piece as Buffer;
  } catch {
    throw new HearthError("BAD_INPUT", "The body ended too soon.");
  } finally {
    incoming.setTimeout(0).off("timeout", stalled);
  }
}

async function textOf(context: RestContext): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  const tooLarge = () => new HearthError("TOO_LARGE", `The body is larger than ${maxJson} bytes.`);
  if (Number(context.req.header("content-length") ?? 0) > maxJson) throw tooLarge();
  for await (const piece of piecesOf(context)) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > maxJson) throw tooLarge();
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(pieces));
  } catch {
    throw new RestError(400, "M_NOT_JSON", "The body is no UTF-8.");
  }
}
