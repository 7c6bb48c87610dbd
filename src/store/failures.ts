/** What a failed statement means for the transaction that it was part of. */
export type FailureKind =
  /** The data was refused; nothing was stored, and the same data would be refused again. */
  | "refused"
  /** The transaction was rolled back for reasons of the moment. */
  | "retry"
  /** Nobody knows whether it was committed: the connection was lost, or the answer was. */
  | "unknown";

export interface Failure {
  kind: FailureKind;
  /** Five characters, where PostgreSQL said anything. */
  sqlState: string | null;
  /** The constraint that was violated, as far as the message names it. */
  message: string;
}

/** Classes: data, integrity, limits; and 42, a fault in a statement of ours. */
const refusing = new Set(["22", "23", "42", "54"]);
/** Classes: rolled back, out of resources, not in the right state; and a statement that a time limit cancelled. */
const retrying = new Set(["40", "53", "55", "57014"]);

/** Sorts an error of a statement by what it means. */
export function failureOf(error: unknown): Failure {
  const sqlState = sqlStateOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (sqlState !== null && refusing.has(sqlState.slice(0, 2))) return { kind: "refused", sqlState, message };
  if (sqlState !== null && (retrying.has(sqlState) || retrying.has(sqlState.slice(0, 2))))
    return { kind: "retry", sqlState, message };
  return { kind: "unknown", sqlState, message };
}

/** Classes: connections, resources, what an operator does, the system around it. */
const awayStates = new Set(["08", "53", "57", "58"]);
/** Prisma's words and codes: not reached, late, closed, no connection free, no transaction begun, too many connections. */
const awayKinds = new Set(["DatabaseNotReachable", "ConnectionClosed", "SocketTimeout", "TooManyConnections"]);
const awayCodes = new Set(["P1001", "P1002", "P1008", "P1017", "P2024", "P2028", "P2037"]);
/** What the operating system says when it connects. */
const connectionCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOENT",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
]);
/** What the driver says without a code. */
const driverMessages =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed/;

/** Whether a statement failed because the store was away or had no room for it, so that it may well go through later. */
export function isStoreAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const sqlState = sqlStateOf(error);
  if (sqlState !== null) return awayStates.has(sqlState.slice(0, 2));
  const { code, syscall, meta } = error as Error & { code?: unknown; syscall?: unknown; meta?: StatementMeta };
  if (awayKinds.has(meta?.driverAdapterError?.cause?.kind ?? "")) return true;
  if (typeof code === "string") {
    // Of files the same is said, by other calls; Prisma leaves the call out.
    const connecting = syscall === "connect" || error.name.startsWith("Prisma");
    return awayCodes.has(code) || (connecting && connectionCodes.has(code));
  }
  return driverMessages.test(error.message);
}

/** Where Prisma puts what the driver and PostgreSQL said. */
interface StatementMeta {
  driverAdapterError?: { cause?: { originalCode?: unknown; kind?: string } };
  code?: unknown;
}

function sqlStateOf(error: unknown): string | null {
  const { meta } = error as { meta?: StatementMeta };
  const code = meta?.driverAdapterError?.cause?.originalCode ?? meta?.code;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}
