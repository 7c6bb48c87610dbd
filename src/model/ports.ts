import type { ErrorCode } from "./errors.ts";

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

/** Keeps nothing: for commands, which say what there is to say themselves. */
export const noLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Calls to other services: the platform's `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** What became of something; `INTERNAL` for every error that isn't meant for callers. */
export type Outcome = "OK" | ErrorCode;

/** A request over HTTP, or an operation over a WebSocket, when it was answered. */
export interface AnsweredRequest {
  /** `http`: GraphQL, server-sent events among it. */
  transport: "http" | "websocket" | "rest";
  /** `subscription`: also what waits for news over REST. `other`: what was refused before it was understood, and pages. */
  operation: "query" | "mutation" | "subscription" | "read" | "write" | "other";
  /** Whether it was refused, which is the caller's affair; or failed, which is the server's; or its caller had gone. */
  outcome: "ok" | "refused" | "failed" | "gone";
  ms: number;
}

/**
 * Counts what is done. Whatever tells things apart is from closed sets of names: nothing that callers choose, of which there
 * would be more and more.
 */
export interface Meter {
  request(answered: AnsweredRequest): void;
  /** A caller was told of an error. */
  error(code: ErrorCode): void;
  /** An action of the domain came to its end. */
  action(name: string, outcome: Outcome): void;
  /** A batch was committed. */
  batch(batch: { units: number; events: number; ms: number }): void;
  /** Writing a batch failed: its data was refused, it is to be tried again, or nobody knows. */
  batchFailed(kind: "refused" | "retry" | "unknown"): void;
  /** A unit is answered, so long after it was given to the writer. */
  appended(waitedMs: number): void;
}

/** Counts nothing. */
export const noMeter: Meter = {
  request: () => undefined,
  error: () => undefined,
  action: () => undefined,
  batch: () => undefined,
  batchFailed: () => undefined,
  appended: () => undefined,
};

/** What a span tells besides its name and its time: short, and never what people wrote or keep to themselves. */
export type SpanAttributes = Record<string, string | number | boolean>;

/** A request within its trace. */
export interface RequestSpan {
  /** Undefined where it isn't recorded, as `place` is, which goes with all that is done for it. */
  traceId: string | undefined;
  place: unknown;
  end(name: string, attributes: SpanAttributes, failed: boolean): void;
}

/** Shows the course of work to whoever collects traces. */
export interface Tracer {
  /** A request came; `traceparent` names the trace that its client has begun, in W3C's form. */
  request(traceparent: string | null): RequestSpan;
  /** Does work as a part of what is done around it. */
  span<T>(name: string, attributes: SpanAttributes, work: () => Promise<T>): Promise<T>;
  /** Does work for several at once, by the places where they are: a part of the first, linked to the others. */
  joint<T>(name: string, attributes: SpanAttributes, places: unknown[], work: () => Promise<T>): Promise<T>;
}

/** Shows nothing. */
export const noTracer: Tracer = {
  request: () => ({ traceId: undefined, place: undefined, end: () => undefined }),
  span: (_name, _attributes, work) => work(),
  joint: (_name, _attributes, _places, work) => work(),
};
