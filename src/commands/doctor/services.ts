import { isForTryingOut, type Config } from "../../config.ts";
import { createPing } from "../../domain/appservice/ping.ts";
import { createRegistry } from "../../domain/appservice/registry.ts";
import { createServiceClient } from "../../domain/appservice/serviceClient.ts";
import type { AppService } from "../../model/appService.ts";
import { noLog } from "../../model/ports.ts";
import { readRegistrations } from "../../registrationFiles.ts";
import { openDatabase } from "../../store/database.ts";
import { readQueues } from "../../store/delivery.ts";
import { publicFetch, systemClock, systemFetch } from "../../system.ts";
import { ok, problem, short, warning, type Finding } from "./finding.ts";

const about = "application services";
const manyEvents = 1000;

/** Registration files that can be read. */
export function* checkServiceFiles({ serviceFiles }: Config): Generator<Finding> {
  for (const file of serviceFiles) {
    try {
      readRegistrations([file]);
      yield ok(about, `${file} can be read`);
    } catch (error) {
      yield problem(about, short(error), "correct the file, or what HEARTH_APPSERVICES names");
    }
  }
}

/** The services that are registered: that they answer, and take what is sent to them. */
export async function* checkServices(config: Config, databaseUrl: string): AsyncGenerator<Finding> {
  const database = openDatabase(databaseUrl, { readers: 1 });
  try {
    const { serverName } = config;
    const connection = database.reader;
    const registry = await createRegistry({ connection, serverName, log: noLog });
    const client = createServiceClient({
      fetch: systemFetch,
      publicFetch: isForTryingOut(config) ? systemFetch : publicFetch,
    });
    // Nothing is delivered from here.
    const delivery = { isSent: () => false, wake: () => undefined, seen: () => undefined };
    const ping = createPing({ registry, client, delivery, clock: systemClock });
    const queues = await readQueues(connection);
    for (const service of registry.current().services) {
      if (service.url !== null) yield await reached(service, ping);
      const queue = queues.find(({ serviceId }) => serviceId === service.id);
      if (queue?.paused) {
        yield warning(
          about,
          `${service.id} is paused, with ${queue.depth} events waiting`,
          "resume it: the mutation resumeAppService",
        );
      } else if (queue !== undefined && queue.state !== "UP" && queue.failures > 0) {
        const since = queue.oldestAt === null ? "" : `, the oldest since ${queue.oldestAt.toISOString()}`;
        yield warning(
          about,
          `${service.id} has failed ${queue.failures} times, and ${queue.depth} events wait${since}`,
          "see its log; it is tried again by itself, and what waits comes in order",
        );
      } else if (queue !== undefined && queue.depth > manyEvents) {
        yield warning(about, `${queue.depth} events wait for ${service.id}`, "see whether it keeps up");
      }
    }
  } finally {
    await database.close();
  }
}

async function reached({ id, url }: AppService, ping: ReturnType<typeof createPing>): Promise<Finding> {
  const pinged = await ping(id, id, null);
  switch (pinged.outcome) {
    case "answered":
      return ok(about, `${id} at ${url} answers`);
    case "refused":
      if (pinged.status !== 401 && pinged.status !== 403) {
        return ok(about, `${id} at ${url} is there, and doesn't know pings (${pinged.status})`);
      }
      return problem(
        about,
        `${id} at ${url} refuses the server's token`,
        "give hs_token the same value in both registrations",
      );
    case "unreachable":
      return problem(
        about,
        `${id} at ${url} isn't reached: ${pinged.problem.slice(0, 200)}`,
        "start it, or correct its url",
      );
  }
}
