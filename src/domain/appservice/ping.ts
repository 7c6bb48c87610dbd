import { HearthError } from "../../model/errors.ts";
import type { Clock } from "../../model/ports.ts";
import { OutgoingError } from "../outgoing.ts";
import type { ServiceDelivery } from "./delivery.ts";
import type { Registry } from "./registry.ts";
import type { ServiceClient } from "./serviceClient.ts";

/** What became of a call that a service asked for, to see whether the server reaches it. */
export type Pinged =
  | { outcome: "answered"; durationMs: number }
  | { outcome: "refused"; status: number; body: string }
  | { outcome: "unreachable"; problem: string; late: boolean };

/** Calls a service back. Throws `BAD_INPUT` for one without an address, `FORBIDDEN` for the id of another one. */
export type Ping = (serviceId: string, named: string, transactionId: string | null) => Promise<Pinged>;

const pingMs = 10_000;

export function createPing({
  registry,
  client,
  delivery,
  clock,
}: {
  registry: Registry;
  client: ServiceClient;
  delivery: Pick<ServiceDelivery, "isSent" | "wake" | "seen">;
  clock: Clock;
}): Ping {
  return async (serviceId, named, transactionId) => {
    if (serviceId !== named) throw new HearthError("FORBIDDEN", "The token is that of another application service.");
    const service = registry.current().withId(serviceId);
    if (service === null || service.url === null)
      throw new HearthError("BAD_INPUT", "The application service has no address.");
    const body = JSON.stringify(transactionId === null ? {} : { transaction_id: transactionId });
    const began = clock.now();
    try {
      const { status, json } = await client.call(service, { method: "POST", path: "/ping", body, timeoutMs: pingMs });
      if (status !== 200) return { outcome: "refused", status, body: JSON.stringify(json ?? null) };
      if (delivery.isSent(serviceId)) delivery.wake(serviceId);
      else delivery.seen(serviceId);
      return { outcome: "answered", durationMs: clock.now() - began };
    } catch (error) {
      if (!(error instanceof OutgoingError)) throw error;
      return { outcome: "unreachable", problem: error.message, late: clock.now() - began >= pingMs };
    }
  };
}
