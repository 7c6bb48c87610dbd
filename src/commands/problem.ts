import { ConfigError } from "../config.ts";
import { HearthError } from "../model/errors.ts";
import { RegistrationFileError } from "../registrationFiles.ts";
import { EmbeddedPostgresError } from "../store/embedded/errors.ts";
import { MigrationError } from "../store/migrationError.ts";
import { TransferError } from "../store/transfer/manifest.ts";

/** What a command can't do, in words for the person who called it. */
export class Problem extends Error {
  override readonly name = "Problem";
}

/** A signal ended a command. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`It was interrupted by ${signal}.`);
    this.signal = signal;
  }
}

/** How a command was called makes no sense; the message says how it is called. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const forPeople = [
  ...[Problem, UsageError, ConfigError, RegistrationFileError],
  ...[EmbeddedPostgresError, MigrationError, TransferError],
];

/** What to tell of an error: its message where people can mend it, else all there is for whoever mends hearth. */
export function tell(error: unknown): string {
  // A registration file, or a name that was given, says what none can.
  const known = error instanceof HearthError || forPeople.some((kind) => error instanceof kind);
  return known || isOfTheSystem(error) ? plainMessage(error) : String((error as Error).stack ?? error);
}

/** Files, networks and databases say what is wrong with them. */
function isOfTheSystem(error: unknown): boolean {
  return typeof (error as { code?: unknown } | null)?.code === "string";
}

/** What an error says in one piece: several addresses of one host fail as one error without a message of its own. */
export function plainMessage(error: unknown): string {
  const { message, errors } = error as AggregateError;
  return message || (errors ?? []).map(plainMessage).join(", ");
}
