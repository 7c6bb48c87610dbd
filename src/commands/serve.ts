import { createApp, type App } from "../app.ts";
import type { Config } from "../config.ts";
import type { Log } from "../model/ports.ts";
import { openDatabase } from "../store/database.ts";
import { publicFetch, randomIds, systemClock, systemFetch } from "../system.ts";

/** What serves: this process, or the workers that it started. */
export interface Serving {
  /** e.g. http://127.0.0.1:8008 */
  address: string;
  /** Reads registration files again. [AS-1] */
  reload(): void;
  /** Tells clients to come back, finishes what is under way, and lets go of the store. */
  stop(): Promise<void>;
}

/** Serves from this process, on a database that is up to date; `prepare` is given the app before anybody reaches it. */
export async function serve(
  config: Config,
  databaseUrl: string,
  log: Log,
  prepare: (app: App) => void = () => undefined,
): Promise<Serving> {
  const database = openDatabase(databaseUrl, { readers: config.databaseConnections });
  let app: App | null = null;
  try {
    const created = await createApp({
      ...{ config, database, log, publicFetch },
      ...{ clock: systemClock, ids: randomIds, fetch: systemFetch, processMetrics: true },
    });
    app = created;
    prepare(created);
    return {
      address: await created.listen(),
      reload: () =>
        void created.reload().then(
          () => log.info({}, "the registrations of application services were read again"),
          (error: unknown) => log.error({ error }, "reading registrations failed; those from before hold"),
        ),
      async stop() {
        await created.close();
        await database.close();
      },
    };
  } catch (error) {
    await app?.close();
    await database.close();
    throw error;
  }
}
