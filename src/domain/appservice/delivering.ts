import type { StoredEvent } from "../../model/event.ts";
import type { Clock, Log } from "../../model/ports.ts";
import type { Connection, Database } from "../../store/database.ts";
import * as store from "../../store/delivery.ts";
import { eventsAt } from "../../store/events.ts";
import { OutgoingError } from "../outgoing.ts";
import { afterwards, type Delivery, type Occurrence } from "../rules/delivery.ts";
import type { Registry } from "./registry.ts";
import type { ServiceClient } from "./serviceClient.ts";

/** Events in one transaction. */
const maxEvents = 100;
/** Content of a transaction, unless a single event has more: the oldest libraries take bodies of 100 KB. */
const maxBytes = 90_000;
const sendMs = 30_000;
/** How often a sign of life of the service makes it be tried early. */
const seenMs = 5000;
/** How long a failure of the store holds things up. */
const storePauseMs = 500;

/** Gives events as application services read them, in their order; null for what older software has no event for. */
export type RenderEvents = (events: readonly StoredEvent[]) => Promise<(object | null)[]>;

export interface DeliveringOptions {
  database: Database;
  registry: Registry;
  client: ServiceClient;
  render: RenderEvents;
  /** What passes and isn't stored; it is taken here. */
  ephemeral: { take(serviceId: string): Promise<object[]> };
  clock: Clock;
  log: Log;
  random: () => number;
}

/** What is sent to one service, while this process holds its lease. See the diagram in rules/delivery.ts. [AS-5] */
export class Delivering {
  readonly lease: store.Lease;
  readonly #options: DeliveringOptions;
  readonly #connection: Connection;
  #delivery: Delivery;
  /** Something may wait that wasn't looked for yet. */
  #look = true;
  #seenAt = 0;
  /** Transactions may be saved behind the one that is on its way: of another process, or from before a failure. */
  #savedEarlier = true;
  #stopped = new AbortController();
  #running: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: DeliveringOptions, { serviceId, number, ...delivery }: store.LeaseTaken) {
    this.#options = options;
    this.#connection = options.database.reader;
    this.lease = { serviceId, number };
    this.#delivery = delivery;
    this.#run();
  }

  /** Something was queued. */
  look(): void {
    this.#look = true;
    this.#run();
  }

  /** Tries at once, also while it is DOWN: an admin says so, or the service shows that it is there. */
  wake(): void {
    this.#become("woken");
    this.look();
  }

  /** The service called: what failed may work again. Once in a while only, since one that calls may still take nothing. */
  seen(): void {
    const now = this.#options.clock.now();
    if (this.#delivery.state !== "DOWN" || now - this.#seenAt < seenMs) return;
    this.#seenAt = now;
    this.wake();
  }

  /** Ends for good: the lease is gone, or the server stops. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running;
  }

  #run(): void {
    if (this.#stopped.signal.aborted) return;
    this.#running ??= this.#deliver().finally(() => {
      this.#running = null;
      if (this.#look && this.#delivery.state !== "DOWN") this.#run();
    });
  }

  /** Sends until nothing waits, or the service fails. */
  async #deliver(): Promise<void> {
    const { clock, log } = this.#options;
    if (this.#delivery.state === "DOWN") {
      const wait = (this.#delivery.retryAt ?? 0) - clock.now();
      if (wait > 0) return this.#later(wait);
    }
    try {
      this.#look = false;
      await this.#note("due");
      let current = await this.#following(0);
      while (current !== null && !this.#stopped.signal.aborted) {
        // While one is on its way, the next is made ready: it is saved behind it, and is sent behind it. Not where the
        // service failed last: each try would make one more.
        const preparing = this.#delivery.failures > 0 ? null : this.#prepareBehind(current);
        const problem = await this.#send(current);
        const prepared = await preparing;
        if (this.#stopped.signal.aborted) return;
        if (problem !== null) return await this.#failed(problem);
        if (!(await store.forgetTransaction(this.#connection, this.lease, current.transactionId))) return;
        current = prepared ?? (await this.#following(current.transactionId));
        await this.#note(current === null ? "delivered, nothing waits" : "delivered, more waits");
      }
    } catch (error) {
      // The store is away. What was sent may be sent again, as the same transaction.
      log.warn({ error, service: this.lease.serviceId }, "delivering to an application service was interrupted");
      this.#look = true;
      await new Promise((resolve) => setTimeout(resolve, storePauseMs));
    }
  }

  /** Gives what went wrong; null where the service has taken it. */
  async #send({ transactionId, body }: store.SavedTransaction): Promise<string | null> {
    const { registry } = this.#options;
    const { serviceId } = this.lease;
    // The lease may have been there before the notice that it is registered.
    const service = registry.current().withId(serviceId) ?? (await registry.refresh()).withId(serviceId);
    if (service === null) return "it is registered no longer";
    try {
      const { status } = await this.#options.client.call(service, {
        ...{ method: "PUT", path: `/transactions/${transactionId}`, body, timeoutMs: sendMs },
        signal: this.#stopped.signal,
      });
      return status === 200 ? null : `it answered with status ${status}`;
    } catch (error) {
      if (error instanceof OutgoingError) return error.message;
      throw error;
    }
  }

  async #failed(problem: string): Promise<void> {
    const { log, clock } = this.#options;
    this.#become("failed");
    const { failures, retryAt } = this.#delivery;
    this.#later((retryAt ?? 0) - clock.now());
    log.warn({ service: this.lease.serviceId, problem, failures }, "an application service takes no events");
    await this.#write({ lastError: problem.slice(0, 1000) });
  }

  async #prepareBehind({ transactionId }: store.SavedTransaction): Promise<store.SavedTransaction | null> {
    try {
      return await this.#following(transactionId);
    } catch {
      // It may have been saved all the same.
      this.#savedEarlier = true;
      return null;
    }
  }

  /** What is to be sent behind a transaction: saved earlier, or made now. An admin may have skipped what failed. */
  async #following(transactionId: number): Promise<store.SavedTransaction | null> {
    if (transactionId === 0) this.#savedEarlier = true;
    if (this.#savedEarlier) {
      const { paused, saved } = await store.oldestTransaction(this.#connection, this.lease, transactionId);
      // There may be some still when it is resumed, and they go before anything new.
      if (paused) return null;
      if (saved !== null) return saved;
      // From here on nobody saves any but this holder of the lease, one at a time.
      this.#savedEarlier = false;
    }
    return this.#prepare();
  }

  /** Makes a transaction of what is queued and saves it; null where there is nothing, or nothing to be sent now. */
  async #prepare(): Promise<store.SavedTransaction | null> {
    for (;;) {
      const queued = await store.queuedPositions(this.#connection, this.lease, maxEvents);
      const ephemeral = await this.#options.ephemeral.take(this.lease.serviceId);
      if (queued.length === 0 && ephemeral.length === 0) return null;
      const taken = await this.#taken(queued.map(({ position }) => position));
      const { positions, documents } = taken;
      const body = documents.length + ephemeral.length === 0 ? null : bodyOf(documents, ephemeral);
      const oldestAt = queued[0]?.queuedAt ?? new Date(this.#options.clock.now());
      const content = { positions, body, events: documents.length, oldestAt };
      const transactionId = await store.saveTransaction(this.#connection, this.lease, content);
      if (transactionId === null) return null;
      if (body !== null) return { transactionId, body };
      // What was queued is gone with its room, or nothing that older software knows.
    }
  }

  /** As many of the queue's first events as fit into a transaction, and the positions that they stand for. */
  async #taken(positions: readonly number[]): Promise<{ positions: readonly number[]; documents: string[] }> {
    const events = (await eventsAt(this.#connection, positions)).sort((a, b) => a.position - b.position);
    const rendered = await this.#options.render(events);
    const documents: string[] = [];
    let bytes = 0;
    for (const [index, document] of rendered.entries()) {
      if (document === null) continue;
      const text = JSON.stringify(document);
      bytes += Buffer.byteLength(text);
      if (bytes > maxBytes && documents.length > 0) {
        const end = events[index]!.position;
        return { positions: positions.filter((position) => position < end), documents };
      }
      documents.push(text);
    }
    return { positions, documents };
  }

  #become(occurrence: Occurrence): boolean {
    const { clock, random } = this.#options;
    const before = this.#delivery;
    this.#delivery = afterwards(before, occurrence, clock.now(), random());
    return before.state !== this.#delivery.state || before.failures !== this.#delivery.failures;
  }

  /** Moves on, and writes down what there is to see of it. */
  async #note(occurrence: Occurrence): Promise<void> {
    if (this.#become(occurrence)) await this.#write({});
  }

  #write(noted: { lastError?: string }): Promise<void> {
    return store.noteDelivery(this.#connection, this.lease, { ...this.#delivery, ...noted });
  }

  #later(ms: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), Math.max(0, ms));
    this.#timer.unref();
  }
}

/** The bytes of a transaction; `events` is there whatever else is. */
function bodyOf(documents: readonly string[], ephemeral: readonly object[]): string {
  const events = `"events":[${documents.join(",")}]`;
  if (ephemeral.length === 0) return `{${events}}`;
  const list = JSON.stringify(ephemeral);
  return `{${events},"ephemeral":${list},"de.sorunome.msc2409.ephemeral":${list}}`;
}
