import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { asksForEphemeral, namespacesOf, registration, senderOf, type Registration } from "../../model/appService.ts";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check } from "../../model/check.ts";
import { badInput, HearthError, within } from "../../model/errors.ts";
import type { Clock, Ids, Log } from "../../model/ports.ts";
import { findAccount } from "../../store/accounts.ts";
import * as store from "../../store/appServices.ts";
import type { Connection, Database } from "../../store/database.ts";
import type { Registry } from "./registry.ts";
import { settleInterest } from "./interest.ts";
import { makeAccount } from "./makeAccount.ts";

/** Registers application services and ends them. [AS-1, AS-2] */
export interface Registrations {
  /**
   * A service registers itself, by a token that the admin stored. The same token again replaces the entry and keeps what the
   * server shows. Throws `UNAUTHENTICATED` without a token, `FORBIDDEN` for an unknown one, `BAD_INPUT` naming the field.
   */
  register(given: unknown): Promise<{ hsToken: string }>;
  /** Ends a service that registered itself: nothing is sent to it any more, and its token doesn't hold. [AS-2] */
  unregister(given: unknown): Promise<void>;
  /** Makes the registrations of files those that hold: new ones come, changed ones change, missing ones end until they are back. */
  takeFiles(files: readonly RegistrationFile[]): Promise<void>;
  close(): Promise<void>;
}

/** A registration file, as it was parsed. */
export interface RegistrationFile {
  name: string;
  content: unknown;
}

export interface RegistrationsOptions {
  database: Database;
  registry: Registry;
  clock: Clock;
  ids: Ids;
  log: Log;
  serverName: string;
  /** Who may register over REST: nobody, holders of these tokens, anybody. */
  allowed: "off" | "open" | readonly string[];
}

/** A token is compared by its hash, and never stored. */
const tokenText = z
  .string()
  .min(1, "is empty")
  .max(1000, "is longer than 1000 characters")
  .regex(/^[\x21-\x7e]+$/, "holds characters that no token may have");
const restRegistration = registration.extend({ as_token: z.unknown().optional() });
const fileRegistration = registration
  .extend({ as_token: tokenText, hs_token: tokenText, sender_localpart: z.string().min(1, "is empty") })
  // Older software writes files without an id.
  .transform((given) => ({ ...given, id: given.id ?? given.sender_localpart }));

export function createRegistrations(options: RegistrationsOptions): Registrations {
  const { database, registry, clock, ids, log, serverName, allowed } = options;
  let settling = Promise.resolve();
  let closed = false;

  /** Goes through what was there before the registrations, in the background; what a crash cuts off begins anew later. */
  function settle(): void {
    settling = settling
      .then(() => settleInterest({ database, registry, closed: () => closed }))
      .catch((error: unknown) => log.error({ error }, "finding what application services are interested in failed"));
  }

  function demandToken(asToken: unknown): string {
    if (typeof asToken !== "string" || asToken === "") {
      throw new HearthError("UNAUTHENTICATED", "as_token: is missing.", { field: "as_token" });
    }
    const mayRegister = allowed === "open" || (allowed !== "off" && allowed.some((each) => isSame(each, asToken)));
    if (!mayRegister) throw new HearthError("FORBIDDEN", "as_token: is none that may register.", { field: "as_token" });
    return asToken;
  }

  async function put(connection: Connection, given: Registration, row: PutRow): Promise<void> {
    const version = await store.moveRegistry(connection);
    await store.putService(connection, { ...row, url: given.url ?? null, registration: textOf(given), version });
  }

  /** Makes the users that services are themselves, and tells all processes. Last, since it takes reading everything anew. */
  async function announce(connection: Connection, senders: readonly string[]): Promise<void> {
    await store.notifyRegistry(connection);
    const snapshot = await registry.at(connection, await store.holdRegistry(connection));
    for (const sender of senders) await makeAccount(connection, snapshot, senderOf(sender, serverName), null);
  }

  async function end(connection: Connection, id: string, mayReturn: boolean): Promise<void> {
    await store.moveRegistry(connection);
    await store.endService(connection, id, { now: new Date(clock.now()), mayReturn });
  }

  async function changed(): Promise<void> {
    await registry.refresh();
    settle();
  }

  const registrations: Registrations = {
    async register(body) {
      const { as_token: shown, ...given } = check(restRegistration, body);
      const asTokenHash = hashOf(demandToken(shown));
      check(tokenText, shown, "as_token");
      namespacesOf(given);
      const hsToken = await database.reader.$transaction(async (connection) => {
        // Several that register at once do it one after the other, so that each finds what the one before has stored.
        await store.moveRegistry(connection);
        const before = await store.findService(connection, { asTokenHash });
        if (before?.source === "file" && !before.unregistered) {
          throw new HearthError("CONFLICT", "as_token: is that of a registration file.", { field: "as_token" });
        }
        const id = before?.id ?? given.id ?? `rest-${hex(asTokenHash).slice(0, 16)}`;
        if (before === null && (await store.findService(connection, { id })) !== null) {
          throw badInput("id", "is that of another application service");
        }
        const senderLocalpart = given.sender_localpart ?? before?.senderLocalpart ?? id;
        const sender = senderOf(senderLocalpart, serverName);
        if (registry.current().isTaken("users", sender, id)) throw taken(`${sender} is another service's.`);
        await demandNobodys(connection, sender);
        const hsToken = before?.hsToken ?? ids.secret();
        await put(connection, given, {
          id,
          asTokenHash,
          hsToken,
          senderLocalpart,
          source: allowed === "open" ? "open" : "token",
        });
        await announce(connection, [senderLocalpart]);
        return hsToken;
      });
      await changed();
      return { hsToken };
    },

    async unregister(body) {
      const { as_token: shown } = check(z.looseObject({ as_token: z.unknown().optional() }), body);
      if (typeof shown !== "string" || shown === "") {
        throw new HearthError("UNAUTHENTICATED", "as_token: is missing.", { field: "as_token" });
      }
      await database.reader.$transaction(async (connection) => {
        const service = await store.findService(connection, { asTokenHash: hashOf(shown) });
        if (service === null || service.unregistered) {
          throw new HearthError("FORBIDDEN", "as_token: belongs to no application service.", { field: "as_token" });
        }
        if (service.source === "file") {
          throw new HearthError("CONFLICT", "as_token: is that of a registration file.", { field: "as_token" });
        }
        await end(connection, service.id, false);
        await announce(connection, []);
      });
      await changed();
    },

    async takeFiles(files) {
      const read = files.map(readFile);
      for (const [index, { name, given }] of read.entries()) {
        const other = read
          .slice(0, index)
          .find((each) => each.given.id === given.id || each.given.as_token === given.as_token);
        if (other !== undefined) throw badInput(name, `has the id or the as_token of ${other.name}`);
      }
      await database.reader.$transaction(async (connection) => {
        // Several processes that start at once take their files one after the other.
        await store.moveRegistry(connection);
        const { services } = await store.readRegistry(connection);
        const named = new Set(read.map(({ given }) => given.id));
        const holders = new Set<string>();
        const senders: string[] = [];
        for (const {
          given: { as_token: asToken, hs_token: hsToken, ...given },
        } of read) {
          const row = { asTokenHash: hashOf(asToken), hsToken, senderLocalpart: given.sender_localpart };
          const known = services.find(({ id }) => id === given.id);
          const same = known?.source === "file" && known.registration === textOf(given) && known.hsToken === hsToken;
          if (same && hex(known.asTokenHash) === hex(row.asTokenHash)) continue;
          // The service has another id now, registered itself by this token before, or changed tokens with another one.
          const holder = await store.takeToken(connection, row.asTokenHash, given.id);
          if (holder !== null) holders.add(holder.id);
          await put(connection, given, { id: given.id, ...row, source: "file" });
          senders.push(given.sender_localpart);
          if (holder !== null && !named.has(holder.id)) {
            await store.beginBehind(connection, given.id, holder.lastTransaction);
          }
        }
        for (const { id, source } of services) {
          if ((source !== "file" && !holders.has(id)) || named.has(id)) continue;
          // It may be a mistake in the settings: what waits for it is kept for when its file is back.
          log.warn({ service: id }, "the registration file of an application service is gone, and so is the service");
          await end(connection, id, true);
        }
        await announce(connection, senders);
      });
      await changed();
    },

    async close() {
      closed = true;
      await settling;
    },
  };
  return registrations;

  function readFile({ name, content }: RegistrationFile) {
    const given = check(fileRegistration, content, name);
    try {
      namespacesOf(given);
      senderOf(given.sender_localpart, serverName);
    } catch (error) {
      throw error instanceof HearthError ? within(`${name}: `, error) : error;
    }
    return { name, given };
  }
}

type PutRow = {
  id: string;
  asTokenHash: Uint8Array<ArrayBuffer>;
  hsToken: string;
  senderLocalpart: string;
  source: store.RegistrationSource;
};

/** Throws `EXCLUSIVE` where a person signs in as this user: a service that registers itself takes over nobody. */
async function demandNobodys(connection: Connection, userId: string): Promise<void> {
  const account = await findAccount(connection, userId);
  if (account === null || account.passwordHash === null) return;
  throw taken(`${userId} is somebody's account.`);
}

function taken(problem: string): HearthError {
  return new HearthError("EXCLUSIVE", `sender_localpart: ${problem}`, { field: "sender_localpart" });
}

/** The registration without tokens, always written the same way. */
function textOf(given: Registration): string {
  const { id, url, sender_localpart, namespaces, protocols, rate_limited } = given;
  const kept = {
    ...{ id, url, sender_localpart, namespaces, protocols, receive_ephemeral: asksForEphemeral(given) },
    // As registrations were kept before it counted.
    ...(rate_limited === true ? { rate_limited } : {}),
  };
  return canonicalJson(JSON.parse(JSON.stringify(kept)) as Record<string, unknown>, "registration");
}

function isSame(a: string, b: string): boolean {
  return timingSafeEqual(hashOf(a), hashOf(b));
}

/** By which a service's token is known. */
export function hashOf(token: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(token).digest());
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
