/** The database's schema can't be brought up to date; the message says why, and is meant for who runs the server. */
export class MigrationError extends Error {
  override readonly name = "MigrationError";
}
