import { canonicalJson } from "../../model/canonicalJson.ts";
import { capabilitySet, type CapabilitySet } from "../../model/capabilities.ts";
import { badInput, HearthError } from "../../model/errors.ts";
import type { Requester } from "../../model/requester.ts";
import { findCapabilitySet, keepCapabilitySet } from "../../store/capabilities.ts";
import type { Connection } from "../../store/database.ts";
import type { Presence } from "./presence.ts";
import type { Sessions } from "./sessions.ts";

export interface Capabilities {
  /** What the server offers its users, and what it offers anybody. [CAP-1, CAP-5] */
  offered(to: "users" | "anybody"): CapabilitySet;
  /**
   * The set behind a hash: of the server's own, or of a user's devices for who sees the hash in their presence. Null
   * where there is none. [CAP-2, CAP-4]
   */
  find(viewer: Requester | null, hash: string, userId: string | null): Promise<CapabilitySet | null>;
  /** Throws `UNKNOWN_CAPABILITIES` until the set behind the hash was uploaded once. [CAP-3] */
  announce(requester: Requester, hash: string): Promise<void>;
  /** Throws `BAD_INPUT` when the hash isn't that of the set, `TOO_LARGE` for a set, or for too many of them. [CAP-3] */
  upload(requester: Requester, set: unknown, hash: string | null): Promise<CapabilitySet>;
}

export interface CapabilitiesOptions {
  connection: Connection;
  sessions: Sessions;
  presence: Presence;
  /** What this server can do, by the settings that it runs with. */
  can: { turn: boolean };
}

const maxSetBytes = 16 * 1024;
const maxSetsOfUser = 100;

/** What clients, and the server, can do: sets that go by their hash, so that each is sent once. [CAP] */
export function createCapabilities({ connection, sessions, presence, can }: CapabilitiesOptions): Capabilities {
  const forAnybody = {
    "m.cap.federation.event_format.v1": {},
    "m.cap.graphql.v1": { subscriptions: ["graphql-transport-ws", "text/event-stream"] },
  };
  const forUsers = { ...forAnybody, "m.cap.contentrepo.v1": {}, ...(can.turn ? { "m.cap.turnserver.v1": {} } : {}) };
  const setOf = (set: object): CapabilitySet => capabilitySet(canonicalJson(set, "set"));
  const own = { anybody: setOf(forAnybody), users: setOf(forUsers) };

  return {
    offered: (to) => own[to],
    async find(viewer, hash, userId) {
      if (userId === null) return Object.values(own).find((set) => set.hash === hash) ?? null;
      if (viewer === null) return null;
      const seen = (await presence.seenBy(viewer.userId, [userId])).get(userId);
      if (!seen?.capabilityHashes.includes(hash)) return null;
      const json = await findCapabilitySet(connection, hash);
      return json === null ? null : { hash, json };
    },
    async announce(requester, hash) {
      if (!isHash(hash) || (await findCapabilitySet(connection, hash)) === null) {
        throw new HearthError("UNKNOWN_CAPABILITIES", "The set behind this hash is unknown: upload it first.", {
          field: "hash",
        });
      }
      sessions.say(requester, { capabilities: hash });
    },
    async upload(requester, given, hash) {
      if (typeof given !== "object" || given === null || Array.isArray(given))
        throw badInput("set", "is no JSON object");
      const set = capabilitySet(canonicalJson(given, "set"));
      if (Buffer.byteLength(set.json) > maxSetBytes) {
        throw new HearthError("TOO_LARGE", `set: is larger than ${maxSetBytes} bytes.`, { field: "set" });
      }
      if (hash !== null && hash !== set.hash) throw badInput("hash", `is not that of the set, which is ${set.hash}`);
      if (!(await keepCapabilitySet(connection, set, requester.userId, maxSetsOfUser))) {
        throw new HearthError("TOO_LARGE", `set: is one too many: a user uploads at most ${maxSetsOfUser}.`, {
          field: "set",
        });
      }
      return set;
    },
  };
}

/** Whether the text can be a hash at all. */
function isHash(text: string): boolean {
  return /^[A-Za-z0-9+/]{43}$/.test(text);
}
