import { z } from "zod";
import type { AppService } from "../../model/appService.ts";
import { badInput, HearthError } from "../../model/errors.ts";
import { isAlias, isUserId } from "../../model/ids.ts";
import type { Log } from "../../model/ports.ts";
import { OutgoingError } from "../outgoing.ts";
import type { Registry } from "./registry.ts";
import type { ServiceCall, ServiceClient } from "./serviceClient.ts";

/** Finds what people and places of other networks are here, by asking the services that know those networks. [AS-12] */
export interface Lookups {
  /** The user that a third-party address stands for; null for none. Throws `BAD_INPUT` for what is no address. [AS-12] */
  userByUri(uri: string): Promise<string | null>;
  /** The room alias that a third-party address stands for; null for none. */
  aliasByUri(uri: string): Promise<string | null>;
  /** What there is to know of the protocols that services name, by name. */
  protocols(): Promise<Record<string, Protocol>>;
  /** Throws `NOT_FOUND` for a protocol that no service names. */
  protocol(name: string): Promise<Protocol>;
  /** Users or places of a protocol, by fields that its description names; those of all services together. */
  find(kind: "user" | "location", protocol: string, fields: Record<string, string>): Promise<Found[]>;
  /** What a user or an alias of this server is on other networks. */
  reverse(kind: "user" | "location", id: string): Promise<Found[]>;
}

/** A protocol as a service describes it; its instances have ids that tell them from those of other services. */
export type Protocol = Record<string, unknown> & { instances: Record<string, unknown>[] };
export type Found = Record<string, unknown>;

export interface LookupsOptions {
  registry: Registry;
  client: ServiceClient;
  serverName: string;
  log: Log;
}

const askMs = 5000;
const protocolAnswer = z.looseObject({ instances: z.array(z.looseObject({})).max(1000).default([]) });
const foundAnswer = z.array(z.looseObject({})).max(1000);
const userAnswer = z.object({ user_id: z.string().refine(isUserId) });
const aliasAnswer = z.object({ alias: z.string().refine(isAlias) });

export function createLookups({ registry, client, serverName, log }: LookupsOptions): Lookups {
  /** The answer of a service, if it has one that makes sense. */
  async function ask<Answer extends z.ZodType>(
    service: AppService,
    call: Pick<ServiceCall, "path" | "olderPath" | "query">,
    answer: Answer,
  ): Promise<z.output<Answer> | null> {
    try {
      const { status, json } = await client.call(service, { ...call, method: "GET", timeoutMs: askMs });
      const told = answer.safeParse(json);
      return status === 200 && told.success ? told.data : null;
    } catch (error) {
      if (!(error instanceof OutgoingError)) throw error;
      log.warn({ service: service.id, problem: error.message }, "an application service can't look something up");
      return null;
    }
  }

  function thirdParty(path: string, query?: Record<string, string>): Pick<ServiceCall, "path" | "olderPath" | "query"> {
    const below = `/thirdparty/${path}`;
    return { path: below, olderPath: `/_matrix/app/unstable${below}`, ...(query === undefined ? {} : { query }) };
  }

  function speaking(protocol: string): AppService[] {
    return callable().filter(({ protocols }) => protocols.includes(protocol));
  }

  function callable(): AppService[] {
    return registry.current().services.filter(({ url }) => url !== null);
  }

  async function everybodys(
    services: readonly AppService[],
    call: Pick<ServiceCall, "path" | "olderPath" | "query">,
  ): Promise<Found[]> {
    const found = await Promise.all(services.map((service) => ask(service, call, foundAnswer)));
    return found.flatMap((each) => each ?? []);
  }

  async function described(name: string): Promise<Protocol | null> {
    const told = await Promise.all(
      speaking(name).map(async (service) => {
        const protocol = await ask(service, thirdParty(`protocol/${encodeURIComponent(name)}`), protocolAnswer);
        return protocol && { ...protocol, instances: protocol.instances.map((each) => instanceOf(service, each)) };
      }),
    );
    const known = told.filter((each) => each !== null);
    const [first] = known;
    // The services agree on what the protocol is; each has instances of its own.
    return first === undefined ? null : { ...first, instances: known.flatMap(({ instances }) => instances) };
  }

  async function byUri<Answer extends z.ZodType>(
    kind: "users" | "aliases",
    uri: string,
    answer: Answer,
    idOf: (told: z.output<Answer>) => string,
  ): Promise<string | null> {
    const { scheme, place } = readUri(uri);
    const id = `${kind === "users" ? "@" : "#"}${place}:${serverName}`;
    const services = registry.current();
    const isId = kind === "users" ? isUserId(id) : isAlias(id);
    if (isId && services.interests(kind, id).some(({ service }) => service.sender !== id)) return id;
    const asked = callable().filter(({ protocols }) => protocols.length === 0 || protocols.includes(scheme));
    const path = kind === "users" ? "/user" : "/alias";
    const answers = await Promise.all(
      asked.map(async (service) => {
        const told = await ask(service, { path, query: { uri } }, answer);
        // A service tells of its own ids only.
        return told !== null && services.has(service.id, kind, idOf(told)) ? idOf(told) : null;
      }),
    );
    return answers.find((each) => each !== null) ?? null;
  }

  return {
    userByUri: (uri) => byUri("users", uri, userAnswer, ({ user_id }) => user_id),
    aliasByUri: (uri) => byUri("aliases", uri, aliasAnswer, ({ alias }) => alias),
    async protocols() {
      const names = [...new Set(callable().flatMap(({ protocols }) => protocols))].sort();
      const known = await Promise.all(names.map(async (name) => [name, await described(name)] as const));
      return Object.fromEntries(known.flatMap(([name, protocol]) => (protocol === null ? [] : [[name, protocol]])));
    },
    async protocol(name) {
      const known = await described(name);
      if (known === null) throw new HearthError("NOT_FOUND", "There is no such protocol.", { field: "protocol" });
      return known;
    },
    find(kind, protocol, fields) {
      return everybodys(speaking(protocol), thirdParty(`${kind}/${encodeURIComponent(protocol)}`, fields));
    },
    reverse(kind, id) {
      return everybodys(callable(), thirdParty(kind, kind === "user" ? { userid: id } : { alias: id }));
    },
  };
}

/** `scheme://host/place`: what comes before the colon, and what the id of it here begins with. */
function readUri(uri: string): { scheme: string; place: string } {
  const [, scheme, host, rest = ""] = /^([a-z][a-z0-9+.-]{0,30}):\/\/([^/?#\s]+)\/?(.*)$/is.exec(uri) ?? [];
  if (scheme === undefined || host === undefined || uri.length > 1000) {
    throw badInput("uri", "is no address like irc://irc.example.org/bob");
  }
  return { scheme: scheme.toLowerCase(), place: `${host}/${decoded(rest)}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** An instance of a service's, with an id that is nobody else's. */
function instanceOf({ id }: AppService, instance: Record<string, unknown>): Record<string, unknown> {
  const network = instance["network_id"];
  return { ...instance, instance_id: typeof network === "string" ? `${id}|${network}` : id };
}
