import { Counter, Gauge, type Registry } from "prom-client";
import type { Domain } from "../domain/domain.ts";
import { version } from "../model/version.ts";
import type { Database } from "../store/database.ts";

/** What is looked at whenever somebody asks. */
export interface Observed {
  domain: Domain;
  database: Database;
  /** Connections of clients, and what was sent to those that follow. */
  clients: {
    webSockets(): number;
    connections(): Promise<number>;
    sent: { chunks: number; limited: number };
    load: { underWay: number; bound: number };
  };
}

/** How the figures of several processes become one. */
type Together = "sum" | "max" | "min" | "first";

/** Milliseconds that the store has for what only it knows; past them it is left out. */
const storeMs = 1000;

/** Adds to the registry what can be looked at: it costs nothing until somebody asks. */
export function addGauges(registry: Registry, { domain, database, clients }: Observed): void {
  const { head, stream, sessions, readiness, tools } = domain;
  const gauge = (name: string, help: string, together: Together, value: () => number | Promise<number>): void => {
    new Gauge({
      ...{ name: `hearth_${name}`, help, aggregator: together, registers: [registry] },
      async collect() {
        this.set(await value());
      },
    });
  };
  const counter = (name: string, help: string, together: Together, value: () => number): void => {
    new Counter({
      ...{ name: `hearth_${name}`, help, aggregator: together, registers: [registry] },
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  };

  const built = new Gauge({
    ...{ name: "hearth_build_info", help: "1, with the version that runs", labelNames: ["version"] },
    ...{ aggregator: "first" as const, registers: [registry] },
  });
  built.set({ version }, 1);
  gauge("ready", "1 while the server can serve, as /ready says", "min", async () =>
    Number((await readiness.hindrances()).length === 0),
  );
  gauge("store_up", "1 while the store answers within a second", "min", async () =>
    Number(await readiness.storeAnswers()),
  );
  const underWay = "Operations that are under way; what waits on purpose doesn't count";
  gauge("operations_under_way", underWay, "sum", () => clients.load.underWay);
  gauge("operations_limit", "Operations that may be under way", "sum", () => clients.load.bound);
  gauge("append_queue_units", "Actions that wait for the next batch", "sum", () => tools.writer.waiting());

  gauge("stream_position", "The stream position that was passed", "max", () => head.position);
  const lag = "Positions that are known to be committed and were not passed yet";
  gauge("stream_lag_positions", lag, "max", () => head.lag().positions);
  gauge("stream_lag_seconds", "How long they have waited without progress", "max", () => head.lag().ms / 1000);
  let passed = 0;
  head.onPassed((events) => void (passed += events.length));
  counter("stream_events_total", "Events that passed, those of all processes", "max", () => passed);
  gauge("streams", "Event streams that are open", "sum", () => stream.count());
  counter("stream_chunks_total", "Chunks that were sent to followers", "sum", () => clients.sent.chunks);
  counter("streams_limited_total", "Chunks that left events out", "sum", () => clients.sent.limited);
  gauge("websockets", "WebSockets that are open", "sum", () => clients.webSockets());
  gauge("connections", "Connections that are open, WebSockets among them", "sum", () => clients.connections());
  gauge("sessions", "Sessions of devices, those at all processes", "max", () => sessions.count());
  addPools(registry, database);
  addServices(registry, domain);
}

function addPools(registry: Registry, database: Database): void {
  const registers = [registry];
  new Gauge({
    ...{ name: "hearth_pool_connections", labelNames: ["pool", "state"], registers },
    help: "Connections to the store, at work (busy) or not (idle)",
    collect() {
      for (const { pool, busy, idle } of database.pools()) {
        this.set({ pool, state: "busy" }, busy);
        this.set({ pool, state: "idle" }, idle);
      }
    },
  });
  new Gauge({
    ...{ name: "hearth_pool_limit", labelNames: ["pool"], registers },
    help: "Connections to the store that there may be",
    collect() {
      for (const { pool, max } of database.pools()) this.set({ pool }, max);
    },
  });
  new Gauge({
    ...{ name: "hearth_pool_waiting", labelNames: ["pool"], registers },
    help: "Statements and transactions that wait for a connection",
    collect() {
      for (const { pool, waiting } of database.pools()) this.set({ pool }, waiting);
    },
  });
}

type Measured = Awaited<ReturnType<Domain["services"]["operating"]["measure"]>>[number];

/** The queues lie in the store, so that all processes show the same. [AS-5] */
function addServices(registry: Registry, { services }: Domain): void {
  let asked: Promise<Measured[]> | null = null;
  /** Asks the store once for all of them. */
  const measured = (): Promise<Measured[]> =>
    (asked ??= soon(services.operating.measure(), []).finally(() => (asked = null)));
  const gauge = (name: string, help: string, value: (of: Measured) => number, stateOf?: (of: Measured) => string) => {
    new Gauge({
      ...{ name: `hearth_appservice_${name}`, help, aggregator: "first", registers: [registry] },
      labelNames: ["service", ...(stateOf ? ["state"] : [])],
      async collect() {
        const all = await measured();
        this.reset();
        for (const each of all) {
          this.set({ service: each.service.id, ...(stateOf && { state: stateOf(each) }) }, value(each));
        }
      },
    });
  };
  gauge("queue_events", "Events that the application service hasn't taken yet", ({ queue }) => queue.depth);
  const waited = "How long the oldest of them has waited; 0 where none waits";
  gauge("queue_age_seconds", waited, ({ ageMs }) => ageMs / 1000);
  gauge("failures", "Failures since the application service took something last", ({ queue }) => queue.failures);
  gauge("paused", "1 while an admin has stopped the delivery", ({ queue }) => Number(queue.paused));
  const state = "1 for the state that the delivery is in";
  gauge(
    "state",
    state,
    () => 1,
    ({ queue }) => queue.state,
  );
}

/** What comes in time, else something instead: when the store is away the other figures are wanted more than ever. */
async function soon<T>(asked: Promise<T>, instead: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve) => (timer = setTimeout(() => resolve(instead), storeMs)));
  const answer = await Promise.race([asked.catch(() => instead), late]);
  clearTimeout(timer);
  return answer;
}
