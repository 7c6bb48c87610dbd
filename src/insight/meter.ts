import { Counter, Histogram, type Registry } from "prom-client";
import type { AnsweredRequest, Meter } from "../model/ports.ts";

const requestSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const batchSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const sizes = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/** A meter whose figures the registry shows. */
export function createMeter(registry: Registry): Meter {
  const registers = [registry];
  const tally = (name: string, help: string, labelNames: string[]): Tally => {
    const counts = new Tally();
    new Counter({
      ...{ name: `hearth_${name}`, help, labelNames, registers },
      collect() {
        this.reset();
        for (const { values, count } of counts.all()) this.labels(...values).inc(count);
      },
    });
    return counts;
  };
  const requests = tally("requests_total", "Requests that were answered, and operations over WebSockets", [
    ...["transport", "operation", "outcome"],
  ]);
  const durations = new Histogram({
    ...{ name: "hearth_request_duration_seconds", labelNames: ["transport", "operation"], registers },
    help: "How long requests took, but for subscriptions",
    buckets: requestSeconds,
  });
  const errors = tally("errors_total", "Requests that were answered with an error, by the code of the first", ["code"]);
  const actions = tally("actions_total", "Actions in rooms, by their outcome: OK, or the code of the error", [
    ...["action", "code"],
  ]);
  const batchDurations = new Histogram({
    ...{ name: "hearth_append_batch_duration_seconds", registers, buckets: batchSeconds },
    help: "How long committing a batch took",
  });
  const batchUnits = new Histogram({
    ...{ name: "hearth_append_batch_units", registers, buckets: sizes },
    help: "Actions in a batch",
  });
  const batchEvents = new Histogram({
    ...{ name: "hearth_append_batch_events", registers, buckets: sizes },
    help: "Events that a batch appended",
  });
  const failures = tally(
    "append_failures_total",
    "Batches that failed: their data was refused, they are tried again (retry), or nobody knows (unknown)",
    ["kind"],
  );
  const waits = new Histogram({
    ...{ name: "hearth_append_wait_seconds", registers, buckets: requestSeconds },
    help: "How long actions waited for the writer, until their events were committed and passed on",
  });

  return {
    request({ transport, operation, outcome, ms }) {
      requests.add(transport, operation, outcome);
      if (operation !== "subscription") durations.observe(labelsOf(transport, operation), ms / 1000);
    },
    error: (code) => errors.add(code),
    action: (name, outcome) => actions.add(name, outcome),
    batch({ units, events, ms }) {
      batchDurations.observe(ms / 1000);
      batchUnits.observe(units);
      batchEvents.observe(events);
    },
    batchFailed: (kind) => failures.add(kind),
    appended: (waitedMs) => waits.observe(waitedMs / 1000),
  };
}

type DurationLabels = Pick<AnsweredRequest, "transport" | "operation">;
const knownLabels = new Map<string, DurationLabels>();

/** The same object for the same labels. */
function labelsOf(transport: DurationLabels["transport"], operation: DurationLabels["operation"]): DurationLabels {
  const key = `${transport} ${operation}`;
  let labels = knownLabels.get(key);
  if (labels === undefined) knownLabels.set(key, (labels = { transport, operation }));
  return labels;
}

/** Counts by values of labels, at a fraction of what the library's counter takes, which learns of it when somebody asks. */
class Tally {
  readonly #counts = new Map<string, { values: string[]; count: number }>();

  /** The values are in the order of the labels' names. */
  add(...values: string[]): void {
    const key = values.join(" ");
    const known = this.#counts.get(key);
    if (known === undefined) this.#counts.set(key, { values, count: 1 });
    else known.count++;
  }

  all(): Iterable<{ values: string[]; count: number }> {
    return this.#counts.values();
  }
}
