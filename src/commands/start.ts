import cluster from "node:cluster";
import { unknownSettings, type Config } from "../config.ts";
import { createLog } from "./log.ts";
import { serve, type Serving } from "./serve.ts";
import { openStore } from "./store.ts";
import { serveAsWorker } from "./worker.ts";
import { serveByWorkers } from "./workers.ts";

/** Milliseconds that stopping may take altogether. */
const shutdownMs = 10_000;

/** Runs the server until a signal tells it to stop: by this process, or by as many workers as the settings say. */
export async function start(config: Config): Promise<void> {
  const log = createLog(config);
  if (cluster.isWorker) return serveAsWorker(config, log);
  const unknown = unknownSettings(process.env);
  if (unknown.length > 0) log.warn({ unknown }, "these variables are no settings of this release, and do nothing");
  const store = await openStore(config, log);
  let serving: Serving;
  try {
    serving = await (config.workers > 1 ? serveByWorkers : serve)(config, store.url, log);
  } catch (error) {
    await store.close();
    throw error;
  }

  const { address } = serving;
  process.stdout.write(
    [
      `hearth is ready for ${config.serverName}.`,
      "",
      `  GraphiQL and GraphQL   ${address}/graphql`,
      `  REST, for bridges      ${address}/api`,
      `  ${config.databaseUrl === null ? "Data directory" : "Database      "}         ${store.place}`,
      "  To stop it             press Ctrl+C",
      "",
    ].join("\n"),
  );

  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(1);
    stopping = true;
    setTimeout(() => process.exit(1), shutdownMs).unref();
    serving
      .stop()
      .then(() => store.close())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ error }, "stopping failed");
          process.exit(1);
        },
      );
  };
  process.on("SIGHUP", () => serving.reload());
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
}
