import { unknownSettings, type Config } from "../config.ts";
import { createLog } from "./log.ts";
import { serve, type Serving } from "./serve.ts";
import { openStore, type OpenStore } from "./store.ts";
import { serveAsWorker } from "./worker.ts";
import { isWorker, serveByWorkers } from "./workers.ts";

/** Milliseconds that stopping may take altogether. */
const shutdownMs = 10_000;

/** Runs the server until a signal tells it to stop: by this process, or by as many workers as the settings say. */
export async function start(config: Config): Promise<void> {
  const log = createLog(config);
  if (isWorker()) return serveAsWorker(config, log);
  // Nobody has to read what is said below: a pipe that was closed doesn't end the server.
  process.stdout.on("error", () => undefined);
  const unknown = unknownSettings(process.env);
  if (unknown.length > 0) log.warn({ unknown }, "these variables are no settings of this release, and do nothing");

  let running: { serving: Serving; store: OpenStore } | null = null;
  let stopping = false;
  // Who is told to stop while it starts does so when it has, which takes some seconds: PostgreSQL isn't to stay behind.
  const stop = (): void => {
    if (stopping) process.exit(1);
    stopping = true;
    if (running !== null) end(running);
  };
  const end = ({ serving, store }: { serving: Serving; store: OpenStore }): void => {
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
  process.on("SIGHUP", () => running?.serving.reload());
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);

  const store = await openStore(config, log);
  let serving: Serving;
  try {
    serving = await (config.workers > 1 ? serveByWorkers : serve)(config, store.url, log);
  } catch (error) {
    await store.close();
    throw error;
  }
  running = { serving, store };
  if (stopping) return end(running);

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
}
