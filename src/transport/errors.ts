import { GraphQLError } from "graphql";
import { errorCodes, HearthError, type ErrorCode } from "../model/errors.ts";
import type { Log } from "../model/ports.ts";

/**
 * The one mapping of errors for GraphQL: what the domain throws keeps its code and details; what the document got wrong
 * is `BAD_INPUT`; everything else is logged with the request's id and shown as `INTERNAL` with nothing but that id.
 */
export function presentError(error: unknown, log: Log, requestId: string): GraphQLError {
  const cause = error instanceof GraphQLError ? (error.originalError ?? null) : error;
  const location =
    error instanceof GraphQLError
      ? { nodes: error.nodes, source: error.source, positions: error.positions, path: error.path }
      : {};
  const present = (code: ErrorCode, message: string, details: Record<string, unknown> = {}): GraphQLError =>
    new GraphQLError(message, { ...location, extensions: { code, ...details } });

  if (cause instanceof HearthError) return present(cause.code, cause.message, cause.details);
  // Nested deeper than graphql-js can parse.
  if (cause instanceof RangeError) return present("TOO_COMPLEX", "The document is nested too deep.");
  if (error instanceof GraphQLError && (cause === null || cause instanceof GraphQLError)) {
    if (errorCodes.includes(error.extensions["code"] as ErrorCode)) return error;
    if (/more tha[nt] \d+ tokens/.test(error.message)) return present("TOO_COMPLEX", error.message);
    return present("BAD_INPUT", error.message);
  }
  log.error({ error: cause, requestId }, "an operation failed");
  return present("INTERNAL", "Something went wrong on the server.", { requestId });
}
