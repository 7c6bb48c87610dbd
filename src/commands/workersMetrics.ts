import type { Worker } from "node:cluster";
import type { MetricsAsJson } from "../insight/metrics.ts";

/** Milliseconds that workers have to tell theirs; then the figures are those of the others. */
const patienceMs = 1000;

/** What workers tell, for figures of all of them whichever is asked. */
export type MetricsFromWorker =
  { told: "asks for metrics"; id: number } | { told: "metrics"; id: number; metrics: MetricsAsJson };
/** What they are told. */
export type MetricsToWorker = { do: "tell metrics"; id: number } | { do: "take metrics"; id: number; text: string };

/** In the process that started the workers: asks them all, and gives the answer to the one who asked. */
export class WorkersMetrics {
  readonly #workers: () => readonly Worker[];
  #rounds = 0;
  /** What is done with the figures that workers tell, by the number of the round. */
  readonly #open = new Map<number, (told: MetricsAsJson) => void>();

  constructor(workers: () => readonly Worker[]) {
    this.#workers = workers;
  }

  async take(worker: Worker, message: MetricsFromWorker): Promise<void> {
    if (message.told === "metrics") return this.#open.get(message.id)?.(message.metrics);
    const told = await this.#askAll();
    // Loaded when somebody asks first.
    const { together } = await import("../insight/metrics.ts");
    const text = await together(told);
    if (worker.isConnected()) worker.send({ do: "take metrics", id: message.id, text } satisfies MetricsToWorker);
  }

  async #askAll(): Promise<MetricsAsJson[]> {
    const round = ++this.#rounds;
    const asked = this.#workers();
    const told: MetricsAsJson[] = [];
    await new Promise<void>((resolve) => {
      const patience = setTimeout(resolve, patienceMs);
      this.#open.set(round, (metrics) => {
        if (told.push(metrics) < asked.length) return;
        clearTimeout(patience);
        resolve();
      });
      for (const each of asked) each.send({ do: "tell metrics", id: round } satisfies MetricsToWorker);
    });
    this.#open.delete(round);
    return told;
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

  /** Those of all workers, in the form that Prometheus reads. */
  ofAll(): Promise<string> {
    const id = ++this.#asked;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#tell({ told: "asks for metrics", id });
    });
  }

  async take(message: MetricsToWorker, own: () => Promise<MetricsAsJson>): Promise<void> {
    if (message.do === "tell metrics") return this.#tell({ told: "metrics", id: message.id, metrics: await own() });
    this.#waiting.get(message.id)?.(message.text);
    this.#waiting.delete(message.id);
  }
}
