import type { App } from "../app.ts";
import type { Config } from "../config.ts";
import type { Log } from "../model/ports.ts";
import { serve, type Serving } from "./serve.ts";
import type { FromWorker, ToWorker } from "./workers.ts";
import { AskedMetrics } from "./workersMetrics.ts";

/** Serves as one of several workers, until the process that started it says stop, or is gone. */
export async function serveAsWorker(config: Config, log: Log): Promise<void> {
  let serving: Serving | null = null;
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    Promise.resolve(serving?.stop()).then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ error }, "stopping failed");
        process.exit(1);
      },
    );
  };
  const metrics = new AskedMetrics((message) => void tell(message));
  let app: App | null = null;
  process.on("message", (message: ToWorker) => {
    switch (message.do) {
      case "stop":
        return stop();
      case "reload":
        return serving?.reload();
      default:
        metrics
          .take(message, () => app?.metricsAsJson() ?? Promise.resolve([]))
          .catch((error: unknown) => log.warn({ error }, "telling metrics failed"));
    }
  });
  // Ctrl+C reaches the whole group of a terminal: the one who started us says when.
  process.on("SIGINT", () => undefined);
  process.on("SIGHUP", () => undefined);
  process.on("SIGTERM", stop);
  process.on("disconnect", stop);

  try {
    serving = await serve(config, config.databaseUrl!, log, (created) => {
      app = created;
      app.metrics = () => metrics.ofAll();
    });
  } catch (error) {
    log.debug({ error }, "this worker can't serve");
    await tell({ told: "failed", message: (error as Error).message });
    process.exit(1);
  }
  if (stopping) await serving.stop();
  else await tell({ told: "ready", address: serving.address });
}

function tell(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send!(message, () => resolve());
    else resolve();
  });
}
