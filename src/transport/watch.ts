import { HearthError, type ErrorCode } from "../model/errors.ts";
import {
  noLog,
  noMeter,
  noTracer,
  type AnsweredRequest,
  type Log,
  type Meter,
  type Outcome,
  type RequestSpan,
  type Tracer,
} from "../model/ports.ts";
import { serve } from "../model/serving.ts";

/** What is known of a request when it comes. */
export interface Arrival {
  requestId: string;
  transport: AnsweredRequest["transport"];
  /** The HTTP method; null on a WebSocket. */
  method: string | null;
  /** Without what follows the question mark; null for an address that makes no sense. */
  path: string | null;
  /** The trace that it is to be part of, as its client says. */
  traceparent?: string | string[] | null | undefined;
}

export interface WatchOptions {
  meter: Meter;
  tracer: Tracer;
  log: Log;
  /** Every request has a line in the log, at level debug; else those that are slow or fail. */
  everyRequest: boolean;
  /**
   * Whether whatever is done for a request knows its id, so that each line of the log has it. Before Node 24 this costs
   * every promise of the process something, 4 % of a send; where it is off, lines have the id that the domain is told of.
   */
  follows(): boolean;
}

/** A request that takes longer, in milliseconds, has a line in the log. */
const slowMs = 1000;

/** What is told of requests, of all transports: to the meter, and to the log. */
export class Watch {
  readonly options: WatchOptions;
  #shed = 0;

  constructor(options: WatchOptions) {
    this.options = options;
  }

  /** A request is refused unseen, since the server is busy: that must cost next to nothing, so the log has a line of many. */
  shed(transport: AnsweredRequest["transport"]): void {
    const { meter, log } = this.options;
    meter.request({ transport, operation: "other", outcome: "failed", ms: 0 });
    meter.error("OVERLOADED");
    if (this.#shed++ > 0) return;
    setTimeout(() => {
      log.warn({ requests: this.#shed }, "requests were refused within a second, since the server is busy");
      this.#shed = 0;
    }, 1000).unref();
  }

  /** A request came; whoever calls it says what is found out about it, and when it is answered. */
  begin(arrival: Arrival): Served {
    return new Served(this.options, arrival);
  }
}

/** Tells nobody. */
export const nobodyWatches = new Watch({
  meter: noMeter,
  tracer: noTracer,
  log: noLog,
  everyRequest: false,
  follows: () => false,
});

/** A request over HTTP, or an operation on a WebSocket, while it is served. */
export class Served {
  operation: AnsweredRequest["operation"] = "other";
  userId: string | null = null;
  readonly #options: WatchOptions;
  readonly #arrival: Arrival;
  readonly #begun = performance.now();
  readonly #span: RequestSpan;
  /** Of the first error that its caller is told. */
  #code: Outcome = "OK";

  constructor(options: WatchOptions, arrival: Arrival) {
    this.#options = options;
    this.#arrival = arrival;
    const { traceparent } = arrival;
    this.#span = options.tracer.request(typeof traceparent === "string" ? traceparent : null);
  }

  get requestId(): string {
    return this.#arrival.requestId;
  }

  /** Whether it is part of a trace that is recorded. */
  get traced(): boolean {
    return this.#span.place !== undefined;
  }

  /** The caller is told of an error. */
  refused(code: ErrorCode): void {
    if (this.#code === "OK") this.#code = code;
  }

  /** The same, for one that was thrown: what isn't meant for callers they know as `INTERNAL`. */
  failed(error: unknown): void {
    this.refused(error instanceof HearthError ? error.code : "INTERNAL");
  }

  /** Does the work of the request. */
  run<T>(work: () => T): T {
    const { traceId, place } = this.#span;
    if (place === undefined && !this.#options.follows()) return work();
    return serve({ requestId: this.requestId, traceId, place }, work);
  }

  /** It was answered with an HTTP status, on a WebSocket 200; null: its client went away before. */
  end(status: number | null): void {
    const ms = performance.now() - this.#begun;
    const { operation } = this;
    const { transport } = this.#arrival;
    const { meter, everyRequest } = this.#options;
    const code = this.#code === "OK" ? codeOf(status) : this.#code;
    const outcome = outcomeOf(status, code);
    meter.request({ transport, operation, outcome, ms });
    if (code !== "OK") meter.error(code);
    if (this.traced) this.#endSpan(status, code, outcome);
    // A stream is as long as its client likes it.
    const slow = ms > slowMs && operation !== "subscription";
    if (slow || everyRequest || outcome === "failed") this.#tell(status, { ms, code, outcome });
  }

  #endSpan(status: number | null, code: Outcome, outcome: string): void {
    const { requestId, transport, method, path } = this.#arrival;
    this.#span.end(
      `${transport} ${this.operation}`,
      {
        ...{ "hearth.request_id": requestId, "hearth.code": code, "hearth.outcome": outcome },
        ...(method !== null && { "http.request.method": method }),
        ...(path !== null && { "url.path": shown(path)! }),
        ...(status !== null && { "http.response.status_code": status }),
      },
      outcome === "failed",
    );
  }

  #tell(status: number | null, { ms, code, outcome }: { ms: number; code: Outcome; outcome: string }): void {
    const { log } = this.#options;
    const { requestId, transport, method, path } = this.#arrival;
    const { operation, userId } = this;
    const level = outcome === "failed" ? "warn" : ms > slowMs && operation !== "subscription" ? "info" : "debug";
    const { traceId } = this.#span;
    const about = { requestId, traceId, transport, method, path: shown(path), operation, userId };
    log[level]({ ...about, ms: Math.round(ms * 10) / 10, status, code, outcome }, "a request was answered");
  }
}

/** What a status says where no error was told in words. */
function codeOf(status: number | null): Outcome {
  if (status === null || status < 400) return "OK";
  return codes[status] ?? (status < 500 ? "BAD_INPUT" : "INTERNAL");
}

const codes: Readonly<Record<number, ErrorCode>> = {
  401: "UNAUTHENTICATED",
  403: "FORBIDDEN",
  404: "NOT_FOUND",
  405: "UNSUPPORTED",
  408: "TIMEOUT",
  409: "CONFLICT",
  413: "TOO_LARGE",
  429: "RATE_LIMITED",
  503: "OVERLOADED",
};

function outcomeOf(status: number | null, code: Outcome): AnsweredRequest["outcome"] {
  if (code === "OK") return status === null ? "gone" : "ok";
  return code === "INTERNAL" || code === "OVERLOADED" ? "failed" : "refused";
}

/** More than this of a path says nothing to anybody. */
const maxPath = 200;

/** A path as it may stand in a log: that of an export is all that it takes to get it. */
function shown(path: string | null): string | null {
  return path?.replace(/^(\/_hearth\/export\/).*/, "$1…").slice(0, maxPath) ?? null;
}

const wellFormed = /^[A-Za-z0-9._-]{1,64}$/;

/** The id that a client, or a proxy before the server, gave its request; null unless it is well-formed. */
export function givenRequestId(header: string | string[] | undefined): string | null {
  return typeof header === "string" && wellFormed.test(header) ? header : null;
}
