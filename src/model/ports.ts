/** What the domain needs from outside; `createApp` gives it, so that tests can drive time and see what is logged. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/** Makes ids and secrets; tests may make them predictable. */
export interface Ids {
  /** `$…`, growing with time so that neighbours stay together in indexes. */
  eventId(now: number): string;
  /** `!…:server` */
  roomId(serverName: string): string;
  /** An opaque id of 128 random bits. */
  opaque(): string;
  /** A secret of 256 random bits. */
  secret(): string;
}

/** Structured logging in pino's form: fields first, then the message. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Calls to other services: the platform's `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;
