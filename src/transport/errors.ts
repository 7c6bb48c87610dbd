import { GraphQLError } from "graphql";
import { asStoreAway } from "../domain/storeAway.ts";
import { errorCodes, HearthError, type ErrorCode } from "../model/errors.ts";
import type { Log } from "../model/ports.ts";

/**
 * The one mapping of errors for GraphQL: what the domain throws keeps its code and details; what the document got wrong
 * is `BAD_INPUT`; a store that is away is `OVERLOADED`; everything else is logged with the request's id and shown as
 * `INTERNAL` with nothing but that id.
 */
export function presentError(error: unknown, log: Log, requestId: string): GraphQLError {
  const cause = error instanceof GraphQLError ? (error.originalError ?? null) : error;
  const location =
    error instanceof GraphQLError
      ? { nodes: error.nodes, source: error.source, positions: error.positions, path: error.path }
      : {};
  const present = (code: ErrorCode, message: string, details: Record<string, unknown> = {}): GraphQLError =>
    new GraphQLError(message, { ...location, extensions: { code, ...details } });

  const away = asStoreAway(cause);
  if (away !== null) log.warn({ requestId, problem: (cause as Error).message }, "the store was away from an operation");
  const told = away ?? cause;
  if (told instanceof HearthError) return present(told.code, told.message, told.details);
  // Nested deeper than graphql-js can parse.
  if (cause instanceof RangeError) return present("TOO_COMPLEX", "The document is nested too deep.");
  if (error instanceof GraphQLError && (cause === null || cause instanceof GraphQLError)) {
    if (errorCodes.includes(error.extensions["code"] as ErrorCode)) return error;
    if (/more tha[nt] \d+ tokens/.test(error.message)) return present("TOO_COMPLEX", error.message);
    return present("BAD_INPUT", shortened(error.message));
  }
  log.error({ error: cause, requestId }, "an operation failed");
  return present("INTERNAL", "Something went wrong on the server.", { requestId });
}

/** Characters of a message about a document or its variables, which may quote them. */
const maxMessage = 500;

function shortened(message: string): string {
  return message.length <= maxMessage ? message : `${message.slice(0, maxMessage)}…`;
}

/** How long a client is to wait, in the form of the header `Retry-After`: whole seconds. */
export function retryAfterSeconds(retryAfterMs: number): string {
  return String(Math.ceil(retryAfterMs / 1000));
}
