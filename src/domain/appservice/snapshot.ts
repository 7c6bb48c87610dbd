import { LRUCache } from "lru-cache";
import type { AppService, Namespaces } from "../../model/appService.ts";

/** The registrations as of one version; never changes. [AS-1] */
export class RegistrySnapshot {
  readonly version: number;
  readonly services: readonly AppService[];
  readonly #byToken: ReadonlyMap<string, AppService>;
  /** Patterns cost microseconds each, and the same ids come again and again. */
  readonly #known = new LRUCache<string, readonly Interest[]>({ max: 20_000 });

  /** `services` by the hash of the token that each shows, in hexadecimal digits. */
  constructor(version: number, services: ReadonlyMap<string, AppService>) {
    this.version = version;
    this.services = [...services.values()];
    this.#byToken = services;
  }

  withToken(hash: string): AppService | null {
    return this.#byToken.get(hash) ?? null;
  }

  withId(id: string): AppService | null {
    return this.services.find((service) => service.id === id) ?? null;
  }

  /** The services whose namespaces an id is in, those first that alone may make it. */
  interests(kind: keyof Namespaces, id: string): readonly Interest[] {
    if (this.services.length === 0) return none;
    const name = `${kind} ${id}`;
    let found = this.#known.get(name);
    if (found === undefined) {
      found = this.services.flatMap((service) => interestOf(service, kind, id));
      found = [...found].sort((a, b) => Number(b.exclusive) - Number(a.exclusive));
      this.#known.set(name, found);
    }
    return found;
  }

  /** Whether a service has an id in its namespaces. */
  has(serviceId: string, kind: keyof Namespaces, id: string): boolean {
    return this.interests(kind, id).some(({ service }) => service.id === serviceId);
  }

  /** Whether another service than this one, if it is one, alone may make an id. [AS-8] */
  isTaken(kind: keyof Namespaces, id: string, serviceId: string | null): boolean {
    const alone = this.interests(kind, id).filter(({ exclusive }) => exclusive);
    return alone.length > 0 && !alone.some(({ service }) => service.id === serviceId);
  }

  /**
   * Whether an id isn't a service's to act as or to make, because another one alone may. Where both say so of themselves, the
   * one that the admin trusts is believed. [AS-8]
   */
  isOthers(kind: keyof Namespaces, id: string, { id: serviceId, trusted }: AppService): boolean {
    if (trusted) return this.isTaken(kind, id, serviceId);
    return this.interests(kind, id).some(({ service, exclusive }) => exclusive && service.id !== serviceId);
  }

  /** The services that are told of what happens to an id: those that can be called. [AS-5] */
  toldOf(kind: keyof Namespaces, id: string): string[] {
    return this.interests(kind, id).flatMap(({ service }) => (service.url === null ? [] : [service.id]));
  }
}

export interface Interest {
  service: AppService;
  exclusive: boolean;
}

const none: readonly Interest[] = [];

function interestOf(service: AppService, kind: keyof Namespaces, id: string): Interest[] {
  const fitting = service.namespaces[kind].filter(({ expression }) => expression.begins(id));
  const isItself = kind === "users" && service.sender === id;
  if (fitting.length === 0 && !isItself) return [];
  return [{ service, exclusive: isItself || fitting.some(({ exclusive }) => exclusive) }];
}
