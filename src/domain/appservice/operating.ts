import { z } from "zod";
import type { OperatedService } from "../../model/appService.ts";
import { check } from "../../model/check.ts";
import { HearthError } from "../../model/errors.ts";
import { clientChosenId } from "../../model/ids.ts";
import type { Clock, Log } from "../../model/ports.ts";
import type { Requester } from "../../model/requester.ts";
import { holdAdmins } from "../../store/admin.ts";
import type { Connection, Database } from "../../store/database.ts";
import { notifyDelivery, readQueues, setPaused, skipTransaction } from "../../store/delivery.ts";
import { demandAdmin } from "../rules/admin.ts";
import type { Registry } from "./registry.ts";

/** What admins see of the queues of application services, and do to them; `FORBIDDEN` for others. [AS-5] */
export interface Operating {
  /** For whoever measures the server: also how long the oldest event has waited. */
  measure(): Promise<(OperatedService & { ageMs: number })[]>;
  /** In the order of registration. */
  list(requester: Requester): Promise<OperatedService[]>;
  /** Tries at once to deliver what waits. Each gives the service as it is then, or throws `NOT_FOUND`. */
  wake(requester: Requester, input: unknown): Promise<OperatedService>;
  /** Sends nothing but what is on its way, until it is resumed. */
  pause(requester: Requester, input: unknown): Promise<OperatedService>;
  resume(requester: Requester, input: unknown): Promise<OperatedService>;
  /** Drops the oldest transaction, which the service may never take, and goes on with the next; tells how many events it had. */
  skip(requester: Requester, input: unknown): Promise<OperatedService & { skippedEvents: number }>;
}

const input = z.strictObject({ id: clientChosenId });

export function createOperating({
  database,
  registry,
  admins,
  clock,
  log,
}: {
  database: Database;
  registry: Registry;
  admins: ReadonlySet<string>;
  clock: Clock;
  log: Log;
}): Operating {
  async function all(): Promise<OperatedService[]> {
    const services = await registry.refresh();
    const queues = await readQueues(database.reader);
    return queues.flatMap((queue) => {
      const service = services.withId(queue.serviceId);
      return service === null ? [] : [{ service, queue }];
    });
  }

  /** Does something as an admin who still is one when it happens, has the process that sends look, and gives the outcome. */
  async function act<T>(
    requester: Requester,
    name: string,
    given: unknown,
    work: (connection: Connection, id: string) => Promise<T>,
  ): Promise<{ operated: OperatedService; done: T }> {
    demandAdmin(requester);
    const { id } = check(input, given);
    await registry.refresh();
    if (registry.current().withId(id) === null) throw unknownService();
    const done = await database.reader.$transaction(async (connection) => {
      const holders = await holdAdmins(connection, admins);
      demandAdmin({ ...requester, admin: holders.has(requester.userId) });
      const done = await work(connection, id);
      await notifyDelivery(connection, id);
      return done;
    });
    const { userId: admin, requestId } = requester;
    log.info({ admin, service: id, at: clock.now(), requestId }, name);
    const operated = (await all()).find(({ service }) => service.id === id);
    if (operated === undefined) throw unknownService();
    return { operated, done };
  }

  return {
    async measure() {
      const now = clock.now();
      return (await all()).map((each) => ({
        ...each,
        ageMs: Math.max(0, now - (each.queue.oldestAt?.getTime() ?? now)),
      }));
    },
    async list(requester) {
      demandAdmin(requester);
      return all();
    },
    async wake(requester, given) {
      const { operated } = await act(requester, "an application service was woken", given, () => Promise.resolve());
      return operated;
    },
    async pause(requester, given) {
      const pause = (connection: Connection, id: string) => setPaused(connection, id, true);
      return (await act(requester, "an application service was paused", given, pause)).operated;
    },
    async resume(requester, given) {
      const resume = (connection: Connection, id: string) => setPaused(connection, id, false);
      return (await act(requester, "an application service was resumed", given, resume)).operated;
    },
    async skip(requester, given) {
      const { operated, done } = await act(requester, "a transaction was skipped", given, skipTransaction);
      return { ...operated, skippedEvents: done };
    },
  };
}

function unknownService(): HearthError {
  return new HearthError("NOT_FOUND", "There is no such application service.", { field: "id" });
}
