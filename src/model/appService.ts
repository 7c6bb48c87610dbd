import { z } from "zod";
import { badInput } from "./errors.ts";
import { clientChosenId, isUserId } from "./ids.ts";
import { compiled, type Expression } from "./expressions.ts";

/** A part of the ids of this server that an application service acts in. [AS-1] */
export interface Namespace {
  /** Whether nobody else may make such ids. [AS-8] */
  exclusive: boolean;
  expression: Expression;
}

export interface Namespaces {
  users: Namespace[];
  aliases: Namespace[];
  rooms: Namespace[];
}

/** An application service as it was registered, but for its tokens. [AS-1] */
export interface AppService {
  id: string;
  /** Where it is called; null for one that only calls. Without a slash at the end. */
  url: string | null;
  /** The user that it is itself. */
  sender: string;
  namespaces: Namespaces;
  /** Third-party protocols that it looks users and rooms up for. [AS-12] */
  protocols: string[];
  /** Whether it is told of typing, receipts and presence. [AS-5] */
  ephemeral: boolean;
  /** Whether its requests are limited, and those of its users. */
  rateLimited: boolean;
  /** Whether the admin stored its registration or its token, and so trusts it. */
  trusted: boolean;
  /** What the server shows to it. */
  hsToken: string;
}

const maxPatterns = 100;
/** Instructions of all expressions of a service: each may take a microsecond for every new id. */
const maxSize = 20_000;
const namespaceEntry = z.union([
  z.string(),
  z.looseObject({ regex: z.string(), exclusive: z.boolean().default(false) }),
]);
const namespaceList = z.array(namespaceEntry).max(maxPatterns, `holds more than ${maxPatterns} patterns`).nullish();

/** What a registration says, in its file or over REST; unknown keys are those of other servers. [AS-1] */
export const registration = z.looseObject({
  id: clientChosenId.nullish(),
  url: z
    .string()
    .refine((url) => url === "" || isServiceUrl(url), "is no http or https address")
    // Some write an empty address for none.
    .transform((url) => url.replace(/\/+$/, "") || null)
    .nullish(),
  sender_localpart: z.string().nullish(),
  namespaces: z.looseObject({ users: namespaceList, aliases: namespaceList, rooms: namespaceList }).nullish(),
  protocols: z.array(clientChosenId).max(maxPatterns, "names too many protocols").nullish(),
  rate_limited: z.boolean().nullish(),
  receive_ephemeral: z.boolean().nullish(),
  push_ephemeral: z.boolean().nullish(),
  "de.sorunome.msc2409.push_ephemeral": z.boolean().nullish(),
});
export type Registration = z.output<typeof registration>;

/** The namespaces of a registration; throws `BAD_INPUT` naming the pattern that is no regular expression. [AS-1] */
export function namespacesOf({ namespaces }: Registration): Namespaces {
  let size = 0;
  const read = (kind: keyof Namespaces): Namespace[] =>
    (namespaces?.[kind] ?? []).map((entry, index) => {
      // A bare pattern, as the draft has them, is the service's alone.
      const { regex, exclusive } = typeof entry === "string" ? { regex: entry, exclusive: true } : entry;
      const expression = compiled(regex, `namespaces.${kind}.${index}`);
      size += expression.size;
      if (size > maxSize) throw badInput(`namespaces.${kind}.${index}`, "describes too much, with those before it");
      return { exclusive, expression };
    });
  return { users: read("users"), aliases: read("aliases"), rooms: read("rooms") };
}

/** The user that a service is itself. Throws `BAD_INPUT` where its name can't be one. */
export function senderOf(localpart: string, serverName: string): string {
  const userId = `@${localpart}:${serverName}`;
  if (!isUserId(userId)) throw badInput("sender_localpart", "can't be the name of a user");
  return userId;
}

/** Whether a registration asks for typing, receipts and presence, by any of the names that it has had. */
export function asksForEphemeral(given: Registration): boolean {
  return [given.receive_ephemeral, given.push_ephemeral, given["de.sorunome.msc2409.push_ephemeral"]].includes(true);
}

function isServiceUrl(url: string): boolean {
  if (!URL.canParse(url) || url.length > 1000) return false;
  const { protocol, username, password, search, hash } = new URL(url);
  return /^https?:$/.test(protocol) && username + password + search + hash === "";
}

/** How the delivery to a service goes: see the diagram in src/domain/rules/delivery.ts. */
export const deliveryStates = ["UP", "DOWN", "RECOVERING"] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** How the delivery to a service stands. */
export interface DeliveryStanding {
  serviceId: string;
  state: DeliveryState;
  paused: boolean;
  failures: number;
  lastError: string | null;
  retryAt: Date | null;
  /** Events that aren't delivered, and since when the oldest of them waits. */
  depth: number;
  oldestAt: Date | null;
}

/** An application service as admins see it: who it is, and what waits for it. */
export interface OperatedService {
  service: AppService;
  queue: DeliveryStanding;
}
