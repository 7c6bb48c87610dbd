import type { Worker } from "node:cluster";
import type { MetricsAsJson } from "../insight/metrics.ts";
import { overloaded } from "../model/errors.ts";

/** Milliseconds that workers have to tell theirs; then what they told before stands for it. */
const patienceMs = 1000;
/** Milliseconds in which whoever asked is to be answered. */
const answerMs = 3000;

/** What workers tell, for figures of all of them whichever is asked. */
export type MetricsFromWorker =
  { told: "asks for metrics"; id: number } | { told: "metrics"; id: number; metrics: MetricsAsJson };
/** What they are told. */
export type MetricsToWorker = { do: "tell metrics"; id: number } | { do: "take metrics"; id: number; text: string };

/** What doesn't end with the process that counted it: a counter that went down would be one that began anew. */
const lasting = new Set<unknown>(["counter", "histogram"]);

/** In the process that started the workers: asks them all, and gives the answer to the one who asked. */
export class WorkersMetrics {
  readonly #workers: () => readonly Worker[];
  /** What each worker told last: for when it can't tell in time, and for when it has ended. */
  readonly #last = new Map<Worker, MetricsAsJson>();
  /** What those counted that have ended. */
  #ended: MetricsAsJson = [];
  #rounds = 0;
  /** What is done with the figures that workers tell, by the number of the round. */
  readonly #open = new Map<number, () => void>();

  constructor(workers: () => readonly Worker[]) {
    this.#workers = workers;
  }

  /** A worker has ended: what it counted last is kept, without what was so only while it lived. */
  async gone(worker: Worker): Promise<void> {
    const last = this.#last.get(worker);
    if (last === undefined) return;
    this.#last.delete(worker);
    const counted = last.filter(({ type }) => lasting.has(type));
    const { joined } = await import("../insight/metrics.ts");
    this.#ended = await joined([this.#ended, counted]);
  }

  async take(worker: Worker, message: MetricsFromWorker): Promise<void> {
    if (message.told === "metrics") {
      if (worker.isConnected()) this.#last.set(worker, message.metrics);
      return this.#open.get(message.id)?.();
    }
    await this.#askAll();
    // Loaded when somebody asks first.
    const { together } = await import("../insight/metrics.ts");
    const text = await together([...this.#last.values(), this.#ended]);
    if (worker.isConnected()) worker.send({ do: "take metrics", id: message.id, text } satisfies MetricsToWorker);
  }

  async #askAll(): Promise<void> {
    const round = ++this.#rounds;
    const asked = this.#workers();
    let told = 0;
    await new Promise<void>((resolve) => {
      const patience = setTimeout(resolve, patienceMs);
      this.#open.set(round, () => {
        if (++told < asked.length) return;
        clearTimeout(patience);
        resolve();
      });
      for (const each of asked) each.send({ do: "tell metrics", id: round } satisfies MetricsToWorker);
    });
    this.#open.delete(round);
  }
}

/** In a worker: asks for the figures of all, and tells its own. */
export class AskedMetrics {
  readonly #tell: (message: MetricsFromWorker) => void;
  #asked = 0;
  readonly #waiting = new Map<number, (text: string) => void>();

  constructor(tell: (message: MetricsFromWorker) => void) {
    this.#tell = tell;
  }

  /** Those of all workers, in the form that Prometheus reads; throws `OVERLOADED` when they don't come. */
  ofAll(): Promise<string> {
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      const patience = setTimeout(() => {
        this.#waiting.delete(id);
        reject(overloaded("The workers' figures can't be had now: try again."));
      }, answerMs);
      this.#waiting.set(id, (text) => {
        clearTimeout(patience);
        resolve(text);
      });
      this.#tell({ told: "asks for metrics", id });
    });
  }

  async take(message: MetricsToWorker, own: () => Promise<MetricsAsJson>): Promise<void> {
    if (message.do === "tell metrics") return this.#tell({ told: "metrics", id: message.id, metrics: await own() });
    this.#waiting.get(message.id)?.(message.text);
    this.#waiting.delete(message.id);
  }
}
