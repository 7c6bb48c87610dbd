import { z } from "zod";
import type { AppService } from "../../model/appService.ts";
import { HearthError } from "../../model/errors.ts";
import { serverOf } from "../../model/ids.ts";
import type { Log } from "../../model/ports.ts";
import { existingAccounts } from "../../store/accounts.ts";
import { roomOfAlias } from "../../store/aliases.ts";
import type { Connection } from "../../store/database.ts";
import { atMost } from "../atMost.ts";
import { OutgoingError } from "../outgoing.ts";
import type { Registry } from "./registry.ts";
import type { ServiceClient } from "./serviceClient.ts";

/**
 * Asks application services about users and aliases of their namespaces that nobody knows. Whoever needs them waits, and
 * those who need the same share one question; no lock is held meanwhile, since the service makes what it is asked for by
 * calling back. [AS-3, AS-4]
 */
export interface ServiceQueries {
  /** Has those of these users made whom a service knows. Throws `TIMEOUT` where one can't be asked. [AS-4] */
  users(userIds: readonly string[]): Promise<void>;
  /** The room behind an alias, which a service may make now; null for none. Throws `TIMEOUT`. [AS-3] */
  alias(alias: string): Promise<string | null>;
}

/** What makes that which a service describes instead of making it itself. */
export interface Provision {
  user(service: AppService, userId: string, profile: UserAnswer["profile"]): Promise<void>;
  room(service: AppService, alias: string, answer: RoomAnswer): Promise<void>;
}

export interface ServiceQueriesOptions {
  connection: Connection;
  registry: Registry;
  client: ServiceClient;
  provision: Provision;
  serverName: string;
  log: Log;
}

const profile = z.object({
  display_name: z.string().nullish(),
  displayname: z.string().nullish(),
  avatar_url: z.string().nullish(),
});
const userAnswer = z.object({ profile });
export type UserAnswer = z.output<typeof userAnswer>;

const described = z.object({
  type: z.string(),
  content: z.looseObject({}),
  user_id: z.string().optional(),
  sender: z.string().optional(),
  origin_server_ts: z.int().min(0).optional(),
  state_key: z.string().optional(),
});
/** An event as a service describes it. */
export type DescribedEvent = z.output<typeof described>;

const roomAnswer = z
  .object({ events: z.array(described).max(1000).optional(), state: z.array(described).max(1000).optional() })
  .refine(({ events, state }) => events !== undefined || state !== undefined);
export type RoomAnswer = z.output<typeof roomAnswer>;

/** Tries, milliseconds between them, and for each. */
const tries = 3;
const pauseMs = 500;
const askMs = 10_000;
/** Questions to one service at a time: one that hangs holds up no more than these. */
const maxAsking = 100;
/** Users that one who needs many of them has asked about at a time. */
const atOnce = 20;

export function createServiceQueries(options: ServiceQueriesOptions): ServiceQueries {
  const { connection, registry, client, provision, serverName, log } = options;
  const asking = new Map<string, Promise<void>>();
  const counts = new Map<string, number>();

  /** Asks once for all who want to know the same. */
  function shared(name: string, ask: () => Promise<void>): Promise<void> {
    const known = asking.get(name);
    if (known !== undefined) return known;
    const asked = ask().finally(() => asking.delete(name));
    asking.set(name, asked);
    return asked;
  }

  /** The service's answer, undefined where it knows nothing; tries again where it can't be reached. */
  async function answerOf(service: AppService, path: string): Promise<unknown> {
    const count = counts.get(service.id) ?? 0;
    if (count >= maxAsking) throw new HearthError("OVERLOADED", "The application service is being asked too much.");
    counts.set(service.id, count + 1);
    try {
      for (let tried = 1; ; tried++) {
        const answer = await client.call(service, { method: "GET", path, timeoutMs: askMs }).catch(unreachable);
        if (typeof answer !== "string" && answer.status < 500 && answer.status !== 429) {
          return settled(service, path, answer.status) ? answer.json : undefined;
        }
        const problem = typeof answer === "string" ? answer : `it answered with status ${answer.status}`;
        log.warn({ service: service.id, path, problem, tried }, "an application service can't be asked");
        if (tried === tries)
          throw new HearthError("TIMEOUT", "The application service doesn't answer; try again later.");
        await new Promise((resolve) => setTimeout(resolve, pauseMs * tried));
      }
    } finally {
      counts.set(service.id, counts.get(service.id)! - 1);
    }
  }

  function settled(service: AppService, path: string, status: number): boolean {
    if (status === 200) return true;
    if (status !== 404) log.warn({ service: service.id, path, status }, "an application service refused a question");
    return false;
  }

  async function askForUser(userId: string): Promise<void> {
    for (const { service } of registry.current().interests("users", userId)) {
      if (service.url === null) continue;
      const answer = await answerOf(service, `/users/${encodeURIComponent(userId)}`);
      if (answer === undefined) continue;
      // It may have made the user itself; some answer 200 for what they don't know.
      if ((await existingAccounts(connection, [userId])).length > 0) return;
      const told = userAnswer.safeParse(answer);
      if (told.success) return provision.user(service, userId, told.data.profile);
    }
  }

  async function askForAlias(alias: string): Promise<void> {
    for (const { service } of registry.current().interests("aliases", alias)) {
      if (service.url === null) continue;
      const answer = await answerOf(service, `/rooms/${encodeURIComponent(alias)}`);
      if (answer === undefined) continue;
      if ((await roomOfAlias(connection, alias)) !== null) return;
      const told = roomAnswer.safeParse(answer);
      if (told.success) return provision.room(service, alias, told.data);
    }
  }

  return {
    async users(userIds) {
      const services = registry.current();
      const named = userIds.filter((id) => serverOf(id) === serverName && services.toldOf("users", id).length > 0);
      if (named.length === 0) return;
      const known = new Set(await existingAccounts(connection, named));
      const unknown = named.filter((id) => !known.has(id));
      const inTurn = atMost(atOnce);
      let failed = false;
      const ask = (id: string) => async (): Promise<void> => {
        // Where one can't be asked the others needn't be.
        if (failed) return;
        await shared(id, () => askForUser(id)).catch((error: unknown) => {
          failed = true;
          throw error;
        });
      };
      await Promise.all(unknown.map((id) => inTurn(ask(id))));
    },

    async alias(alias) {
      const found = await roomOfAlias(connection, alias);
      if (found !== null || serverOf(alias) !== serverName) return found;
      if (registry.current().toldOf("aliases", alias).length === 0) return null;
      await shared(alias, () => askForAlias(alias));
      return roomOfAlias(connection, alias);
    },
  };
}

function unreachable(error: unknown): string {
  if (error instanceof OutgoingError) return error.message;
  throw error;
}
