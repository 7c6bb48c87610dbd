import { asStoreAway } from "../../domain/storeAway.ts";
import { HearthError, type ErrorCode } from "../../model/errors.ts";
import type { Log } from "../../model/ports.ts";
import { retryAfterSeconds } from "../errors.ts";

/** An answer that refuses, in the form of the Matrix API. */
export interface Refused {
  status: number;
  /** With `errcode` and `error`, but for a question back. */
  body: Record<string, unknown>;
  headers?: Record<string, string>;
}

/** What only this transport can find wrong with a request; everything else is a `HearthError`. */
export class RestError extends Error {
  override readonly name = "RestError";
  readonly status: number;
  readonly errcode: string;
  /** Goes to the client beside the code. */
  readonly details: Record<string, unknown>;

  constructor(status: number, errcode: string, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.details = details;
    this.status = status;
    this.errcode = errcode;
  }
}

/** What has to be shown before a request is answered: one of the ways that are offered. [AS-13] */
export class ProofNeeded extends Error {
  override readonly name = "ProofNeeded";
  /** Each a list of stages, all of which a client goes through. */
  readonly flows: readonly (readonly string[])[];
  /** Names the conversation; nothing is kept under it. */
  readonly session: string;

  constructor(flows: readonly (readonly string[])[], session: string) {
    super("This needs further authentication.");
    this.flows = flows;
    this.session = session;
  }
}

/** The status and the errcode of each code of the domain. Where the Matrix API has no word for it, it is `M_UNKNOWN`. */
const answers: Readonly<Record<ErrorCode, readonly [status: number, errcode: string]>> = {
  UNAUTHENTICATED: [401, "M_MISSING_TOKEN"],
  UNKNOWN_TOKEN: [401, "M_UNKNOWN_TOKEN"],
  BAD_CREDENTIALS: [403, "M_FORBIDDEN"],
  STALE_SESSION: [409, "M_UNKNOWN"],
  FORBIDDEN: [403, "M_FORBIDDEN"],
  NOT_FOUND: [404, "M_NOT_FOUND"],
  BAD_INPUT: [400, "M_INVALID_PARAM"],
  BAD_TOKEN: [400, "M_INVALID_PARAM"],
  TOO_LARGE: [413, "M_TOO_LARGE"],
  TOO_COMPLEX: [400, "M_TOO_LARGE"],
  CONFLICT: [409, "M_UNKNOWN"],
  USER_IN_USE: [400, "M_USER_IN_USE"],
  ALIAS_IN_USE: [409, "M_UNKNOWN"],
  EXCLUSIVE: [400, "M_EXCLUSIVE"],
  INVALID_USERNAME: [400, "M_INVALID_USERNAME"],
  WEAK_PASSWORD: [400, "M_WEAK_PASSWORD"],
  REGISTRATION_CLOSED: [403, "M_FORBIDDEN"],
  BAD_STATE_KEY: [400, "M_INVALID_PARAM"],
  UNKNOWN_CAPABILITIES: [400, "M_UNKNOWN"],
  CALL_ENDED: [409, "M_UNKNOWN"],
  CALL_TAKEN: [409, "M_UNKNOWN"],
  RATE_LIMITED: [429, "M_LIMIT_EXCEEDED"],
  OVERLOADED: [503, "M_UNKNOWN"],
  TIMEOUT: [408, "M_UNKNOWN"],
  UNSUPPORTED: [400, "M_UNKNOWN"],
  INTERNAL: [500, "M_UNKNOWN"],
};

/**
 * The one mapping of errors for REST. What the domain throws keeps its message, and its code as `code`; everything that
 * isn't meant for the caller is logged with the request's id and shown as nothing but that.
 */
export function presentRestError(error: unknown, log: Log, requestId: string): Refused {
  if (error instanceof RestError) {
    return { status: error.status, body: { ...error.details, errcode: error.errcode, error: error.message } };
  }
  if (error instanceof ProofNeeded) {
    const { flows, session } = error;
    return { status: 401, body: { flows: flows.map((stages) => ({ stages })), params: {}, session } };
  }
  const away = asStoreAway(error);
  if (away !== null) log.warn({ requestId, problem: (error as Error).message }, "the store was away from a request");
  const told = away ?? error;
  if (told instanceof HearthError) {
    const [status, errcode] = answers[told.code];
    const { retryAfterMs, ...details } = told.details;
    const later = typeof retryAfterMs === "number";
    const retry = later ? { retry_after_ms: retryAfterMs } : {};
    return {
      status,
      body: { ...details, ...retry, errcode, error: told.message, code: told.code },
      ...(later ? { headers: { "Retry-After": retryAfterSeconds(retryAfterMs) } } : {}),
    };
  }
  log.error({ error, requestId }, "a request failed");
  return { status: 500, body: { errcode: "M_UNKNOWN", error: "Something went wrong on the server.", requestId } };
}
