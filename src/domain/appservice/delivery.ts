import { notifyDelivery, releaseLeases, renewLeases, takeLeases } from "../../store/delivery.ts";
import { Delivering, type DeliveringOptions } from "./delivering.ts";

/** Sends events to application services: to each by one process at a time, in stream order, none lost. [AS-5] */
export interface ServiceDelivery {
  /** Something was queued for these services; null: for any. */
  queued(serviceIds: readonly string[] | null): void;
  /** What waits for a service is tried at once, if this process sends to it. */
  wake(serviceId: string): void;
  /** Whether this process sends to a service. */
  isSent(serviceId: string): boolean;
  /** A service has called, so it is there. */
  seen(serviceId: string): void;
  close(): Promise<void>;
}

/** How long a process that died keeps others from sending, and how often leases are renewed and looked for. */
const leaseMs = 5000;
const renewMs = 1500;
/** How often another process is told that a service has called. */
const tellMs = 5000;

export function createServiceDelivery(options: DeliveringOptions & { processId: string }): ServiceDelivery {
  const { database, registry, clock, log, processId } = options;
  const delivering = new Map<string, Delivering>();
  /** When another process was told last that a service is there. */
  const toldAt = new Map<string, number>();
  let closed = false;
  let tending = Promise.resolve();

  /** Renews the leases that are held, and takes those that nobody holds. */
  async function tend(): Promise<void> {
    if (closed) return;
    const held = await renewLeases(database.reader, processId, leaseMs);
    for (const [serviceId, each] of [...delivering]) {
      if (held.some(({ serviceId: id, number }) => id === serviceId && number === each.lease.number)) continue;
      delivering.delete(serviceId);
      await each.stop();
    }
    for (const taken of await takeLeases(database.reader, processId, leaseMs)) {
      await delivering.get(taken.serviceId)?.stop();
      if (!closed) delivering.set(taken.serviceId, new Delivering(options, taken));
    }
  }

  const tendSoon = (): void => {
    tending = tending.then(tend).catch((error: unknown) => {
      log.warn({ error }, "the leases of application services can't be renewed");
    });
  };
  // Where nobody is registered there is nothing to hold, and nothing to ask the store for.
  const timer = setInterval(() => registry.current().services.length > 0 && tendSoon(), renewMs);
  timer.unref();
  registry.onChanged(tendSoon);
  if (registry.current().services.length > 0) tendSoon();

  return {
    queued(serviceIds) {
      for (const id of serviceIds ?? delivering.keys()) delivering.get(id)?.look();
    },
    wake: (serviceId) => delivering.get(serviceId)?.wake(),
    isSent: (serviceId) => delivering.has(serviceId),
    seen(serviceId) {
      const own = delivering.get(serviceId);
      if (own !== undefined) return own.seen();
      // Another process sends to it, and is told now and then.
      const now = clock.now();
      if (now - (toldAt.get(serviceId) ?? 0) < tellMs) return;
      toldAt.set(serviceId, now);
      notifyDelivery(database.reader, serviceId).catch((error: unknown) => {
        log.warn({ error, service: serviceId }, "that an application service is there can't be told");
      });
    },
    async close() {
      closed = true;
      clearInterval(timer);
      await tending;
      await Promise.all([...delivering.values()].map((each) => each.stop()));
      delivering.clear();
      await releaseLeases(database.reader, processId).catch(() => undefined);
    },
  };
}
