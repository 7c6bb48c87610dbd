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

/** Prisma wraps what PostgreSQL said into the driver adapter's cause. */
function sqlStateOf(error: unknown): string | null {
  const meta = (error as { meta?: { driverAdapterError?: { cause?: { originalCode?: unknown } }; code?: unknown } })
    .meta;
  const code = meta?.driverAdapterError?.cause?.originalCode ?? meta?.code;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}
