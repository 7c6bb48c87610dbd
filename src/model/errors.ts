/** Every code that a client may meet; the GraphQL enum `ErrorCode` lists the same. */
export const errorCodes = [
  "UNAUTHENTICATED",
  "UNKNOWN_TOKEN",
  "BAD_CREDENTIALS",
  "STALE_SESSION",
  "FORBIDDEN",
  "NOT_FOUND",
  "BAD_INPUT",
  "BAD_TOKEN",
  "TOO_LARGE",
  "TOO_COMPLEX",
  "CONFLICT",
  "USER_IN_USE",
  "ALIAS_IN_USE",
  "EXCLUSIVE",
  "INVALID_USERNAME",
  "WEAK_PASSWORD",
  "REGISTRATION_CLOSED",
  "BAD_STATE_KEY",
  "UNKNOWN_CAPABILITIES",
  "CALL_ENDED",
  "CALL_TAKEN",
  "RATE_LIMITED",
  "OVERLOADED",
  "TIMEOUT",
  "UNSUPPORTED",
  "INTERNAL",
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/**
 * What the domain throws for whatever a caller may learn. Each transport maps it once; any other error is an internal
 * one and is masked there. `details` goes to the client, e.g. `{field: "roomId"}`.
 */
export class HearthError extends Error {
  override readonly name = "HearthError";
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** Milliseconds after which whoever found no room may well find some. */
export const retryAfterMs = 1000;

/** `OVERLOADED`, with the time after which the same may go well. */
export function overloaded(message: string): HearthError {
  return new HearthError("OVERLOADED", message, { retryAfterMs });
}

/** `BAD_INPUT` about one named field. */
export function badInput(field: string, problem: string): HearthError {
  return new HearthError("BAD_INPUT", `${field}: ${problem}`, { field });
}

/** The same error about the same field of a part of the input, such as `messages.56.`; without a field, about that part. */
export function within(path: string, { code, message, details }: HearthError): HearthError {
  const { field } = details;
  if (typeof field !== "string") return new HearthError(code, message, { ...details, field: path.replace(/\.$/, "") });
  const named = message.startsWith(`${field}:`) ? `${path}${message}` : message;
  return new HearthError(code, named, { ...details, field: `${path}${field}` });
}

/** The one answer about rooms that don't exist and rooms that the requester may not see. [EV-9] */
export function roomNotFound(): HearthError {
  return new HearthError("NOT_FOUND", "There is no such room, or you may not see it.");
}

/** The one answer about events that don't exist and events that the requester may not see. [EV-9] */
export function eventNotFound(): HearthError {
  return new HearthError("NOT_FOUND", "There is no such event, or you may not see it.");
}

/** The one answer about calls that don't exist and calls whose invite the requester may not see. [EV-9] */
export function callNotFound(): HearthError {
  return new HearthError("NOT_FOUND", "There is no such call, or you may not see it.");
}

/** The alias leads to another room. */
export function aliasInUse(): HearthError {
  return new HearthError("ALIAS_IN_USE", "The alias is taken.", { field: "alias" });
}

export function aliasNotFound(): HearthError {
  return new HearthError("NOT_FOUND", "alias: leads to no room.", { field: "alias" });
}
