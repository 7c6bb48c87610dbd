import type { Attributes, Context, Link, Span } from "@opentelemetry/api";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";
import type { Log, RequestSpan, Tracer } from "../model/ports.ts";
import { serve, served } from "../model/serving.ts";
import { version } from "../model/version.ts";

export interface TracesOptions {
  /** Where a collector takes OTLP over HTTP, without the path of traces. */
  endpoint: string;
  /** Which part of the requests is traced that don't say whether they are: from 0 to 1. */
  sample: number;
  serverName: string;
  log: Log;
}

/** A tracer that sends what it is told to a collector. */
export interface Traces extends Tracer {
  /** Sends what is left, and gives up after a second. */
  close(): Promise<void>;
}

/** Milliseconds that the collector has for each lot of spans, and for the last. */
const exportMs = 5000;
const closeMs = 1000;
/** Spans that wait for it; more are dropped. */
const maxWaiting = 2048;
/** How often they are sent. */
const everyMs = 250;
/** Characters of an attribute. */
const maxText = 200;

/** Loads OpenTelemetry, which nobody else needs, and begins to trace. Nothing of it is global: apps don't share tracers. */
export async function createTraces({ endpoint, sample, serverName, log }: TracesOptions): Promise<Traces> {
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }, { parseTraceParent }] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/sdk-trace"),
    import("@opentelemetry/exporter-trace-otlp-http"),
    import("@opentelemetry/resources"),
    import("@opentelemetry/core"),
  ]);
  const { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } = api;
  const url = `${endpoint.replace(/\/+$/, "")}/v1/traces`;
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: exportMs, concurrencyLimit: 2 });
  const processor = new sdk.BatchSpanProcessor({
    ...{ exporter: telling(exporter, log), maxQueueSize: maxWaiting, scheduledDelayMillis: everyMs },
    exportTimeoutMillis: exportMs,
  });
  const provider = new sdk.TracerProvider({
    sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(sample) }),
    spanProcessors: [processor],
    spanLimits: { attributeValueLengthLimit: maxText },
    resource: resourceFromAttributes({
      "service.name": "hearth",
      "service.version": version,
      "service.namespace": serverName,
    }),
  });
  const tracer = provider.getTracer("hearth", version);

  /** Does work while a span goes on. */
  async function during<T>(span: Span, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      // What it says may be what people wrote.
      span.setStatus({ code: SpanStatusCode.ERROR });
      span.setAttribute("error.type", codeOf(error));
      throw error;
    } finally {
      span.end();
    }
  }

  return {
    request(traceparent) {
      const parent = traceparent === null ? null : parseTraceParent(traceparent);
      const around = parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true });
      const span = tracer.startSpan("request", { kind: SpanKind.SERVER }, around);
      if (!span.isRecording()) return untraced;
      return {
        traceId: span.spanContext().traceId,
        place: trace.setSpan(around, span),
        end(name, attributes, failed) {
          span.updateName(name).setAttributes(attributes as Attributes);
          if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
          span.end();
        },
      };
    },
    span(name, attributes, work) {
      const serving = served();
      if (serving?.place === undefined) return work();
      const around = serving.place as Context;
      const span = tracer.startSpan(name, { attributes }, around);
      return during(span, () => serve({ ...serving, place: trace.setSpan(around, span) }, work));
    },
    joint(name, attributes, places, work) {
      const [first, ...others] = places.filter((place) => place !== undefined) as Context[];
      if (first === undefined) return work();
      const links: Link[] = others.map((place) => ({ context: trace.getSpanContext(place)! }));
      return during(tracer.startSpan(name, { attributes, links }, first), work);
    },
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, closeMs)));
      await Promise.race([provider.shutdown().catch(() => undefined), late]);
      clearTimeout(timer);
    },
  };
}

const untraced: RequestSpan = { traceId: undefined, place: undefined, end: () => undefined };

function codeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return typeof code === "string" ? code : String(name);
}

/** Says in the log when the collector begins to fail, and when it works again. */
function telling(exporter: SpanExporter, log: Log): SpanExporter {
  let works = true;
  return {
    export(spans: ReadableSpan[], done) {
      exporter.export(spans, (result) => {
        const good = result.code === 0;
        if (good !== works) {
          if (good) log.info({}, "the collector takes traces again");
          else log.warn({ problem: result.error?.message }, "the collector takes no traces");
        }
        works = good;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}
