/**
 * A failure the operator can act on: another server holds the data directory,
 * the platform has no engine, the data is of another PostgreSQL version, and
 * so on. The message names the directory or process concerned and says what to
 * do, so it can be printed without a stack trace.
 */
export class EmbeddedPostgresError extends Error {
  override readonly name = "EmbeddedPostgresError";
}

/** Another server of ours holds the data directory. */
export class DataDirectoryInUseError extends EmbeddedPostgresError {}

/**
 * Reads the system error code (`ENOENT`) or SQLSTATE (`57P03`) of a caught
 * value; undefined when it carries none.
 */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

/** The message of a caught value, whatever was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
