import type { ServiceDelivery } from "./delivery.ts";
import type { Identity } from "./identity.ts";
import type { Lookups } from "./lookups.ts";
import type { Operating } from "./operating.ts";
import type { Ping } from "./ping.ts";
import type { Registrations } from "./registrations.ts";
import type { Registry } from "./registry.ts";

/** What the transports reach application services by. [AS] */
export interface AppServices {
  registry: Registry;
  registrations: Registrations;
  identity: Identity;
  delivery: ServiceDelivery;
  lookups: Lookups;
  ping: Ping;
  operating: Operating;
}
