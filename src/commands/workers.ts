import cluster, { type Worker } from "node:cluster";
import { createServer, type AddressInfo } from "node:net";
import type { Config } from "../config.ts";
import type { Log } from "../model/ports.ts";
import type { Serving } from "./serve.ts";
import { WorkersMetrics, type MetricsFromWorker, type MetricsToWorker } from "./workersMetrics.ts";
import { Problem } from "./problem.ts";

/** What a worker tells the process that started it. */
export type FromWorker =
  /** It serves at this address, which all workers share. */
  | { told: "ready"; address: string }
  /** It can't start; the message is for people if it says so. */
  | { told: "failed"; message: string }
  | MetricsFromWorker;

/** What it is told. */
export type ToWorker = { do: "reload" | "stop" } | MetricsToWorker;

/** What tells workers of ours from those of whoever else may start hearth as a worker of a cluster. */
const workerMark = "HEARTH_WORKER";

/** Whether this process was started by `serveByWorkers`. */
export function isWorker(): boolean {
  return cluster.isWorker && workerMark in process.env;
}

/** A worker that ends without being told to is started again after so long: longer each time, unless it had worked for a while. */
const firstPauseMs = 100;
const longestPauseMs = 30_000;
const settledMs = 10_000;
/** Milliseconds after which workers that don't stop are ended. */
const patienceMs = 8_000;

/**
 * Serves by several processes on one port, which share nothing but the store: what makes hearth work over machines makes it
 * work over the cores of one. A worker that ends is replaced, and its clients come back to another.
 * @throws Problem when the first ones don't start.
 */
export async function serveByWorkers(config: Config, databaseUrl: string, log: Log): Promise<Serving> {
  // The same for those that come later, also when all have ended meanwhile. Workers may each have a socket of their own
  // there, beside which those of another server would do as well: that somebody has it is to show here.
  const port = await portOf(config);
  const workers = new Map<number, Worker>();
  let started = false;
  let stopping = false;
  const connected = (): Worker[] => [...workers.values()].filter((worker) => worker.isConnected());
  const metrics = new WorkersMetrics(connected);
  // Workers take connections themselves: one that is handed to a worker just when that is killed would wait for good.
  cluster.schedulingPolicy = cluster.SCHED_NONE;

  /** Starts a worker, whose address it gives, and another whenever it ends. */
  async function fork(slot: number, pauseMs: number): Promise<string> {
    const since = performance.now();
    let problem = "it ended before it served";
    let ready = false;
    const goneWith = (code: number | null, signal: string | null): void => {
      workers.delete(slot);
      // Who can't serve from the start is no use to try again.
      if (stopping || !(ready || started)) return;
      const settled = ready && performance.now() - since > settledMs;
      const pause = settled ? firstPauseMs : pauseMs;
      log.error({ worker: slot, code, signal, pause, ...(ready ? {} : { problem }) }, "a worker ended: it is replaced");
      setTimeout(() => {
        if (!stopping) fork(slot, Math.min(2 * pause, longestPauseMs)).catch(() => undefined);
      }, pause);
    };

    let worker: Worker;
    try {
      worker = cluster.fork({ DATABASE_URL: databaseUrl, HEARTH_PORT: String(port), [workerMark]: String(slot) });
    } catch (error) {
      problem = (error as Error).message;
      goneWith(null, null);
      throw error;
    }
    workers.set(slot, worker);
    return new Promise((resolve, reject) => {
      worker.on("error", (error) => {
        if (worker.process.pid !== undefined)
          return log.warn({ error, worker: slot }, "a worker can't be told anything");
        // It never was: nobody is going to say that it ended.
        problem = error.message;
        goneWith(null, null);
        reject(new Problem(problem));
      });
      worker.on("message", (message: FromWorker) => {
        switch (message.told) {
          case "failed":
            problem = message.message;
            break;
          case "ready":
            ready = true;
            return resolve(message.address);
          default:
            metrics.take(worker, message).catch((error: unknown) => log.warn({ error }, "asking for metrics failed"));
        }
      });
      worker.on("exit", (code, signal) => {
        metrics.gone(worker).catch((error: unknown) => log.warn({ error }, "keeping a worker's figures failed"));
        goneWith(code, signal);
        reject(new Problem(problem));
      });
    });
  }

  function tell(message: ToWorker): void {
    for (const worker of connected()) worker.send(message);
  }

  async function stop(): Promise<void> {
    stopping = true;
    tell({ do: "stop" });
    const gone = [...workers.values()].map((worker) => new Promise((resolve) => worker.once("exit", resolve)));
    const deadline = setTimeout(() => {
      for (const worker of workers.values()) worker.process.kill("SIGKILL");
    }, patienceMs);
    await Promise.all(gone);
    clearTimeout(deadline);
  }

  const forked = Array.from({ length: config.workers }, (_, slot) => fork(slot + 1, firstPauseMs));
  try {
    const [address] = await Promise.all(forked);
    started = true;
    return { address: address!, reload: () => tell({ do: "reload" }), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A port that nobody has at the moment: any one, or the one of the settings. */
function portOf({ host, port }: Config): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(port, host, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
