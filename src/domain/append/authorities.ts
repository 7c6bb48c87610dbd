import { LRUCache } from "lru-cache";
import type { Membership } from "../../model/content/typed.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { RoomRules } from "../../model/room.ts";
import type { Connection } from "../../store/database.ts";
import { membershipsOf, roomRules } from "../../store/rooms.ts";
import { RoomAuthority } from "../rules/authority.ts";

interface Known {
  rules: RoomRules;
  /** Null for users without any membership. */
  memberships: LRUCache<string, { membership: Membership | null }>;
}

export interface Authorities {
  /** What decides who may do what in a room, with the memberships of these users; null when there is no such room. */
  load(roomId: string, userIds: readonly string[]): Promise<RoomAuthority | null>;
  /** Takes in an event that the head cursor passes. */
  apply(event: StoredEvent): void;
  /** Drops what is known of a room, since it proved stale. */
  forget(roomId: string): void;
}

const knownRooms = 10_000;
const knownMembersPerRoom = 2_000;

/**
 * The small part of each room that authorisation reads, kept in bounded memory and moved along by the events that pass.
 * Being out of date does no harm: the writer compares versions, and a stale unit is authorised anew.
 */
export function createAuthorities(reader: Connection): Authorities {
  const rooms = new LRUCache<string, Known>({ max: knownRooms });

  async function read(roomId: string, userIds: readonly string[]): Promise<Known | null> {
    const fresh = await roomRules(reader, roomId, userIds);
    if (fresh === null) return null;
    const known: Known = { rules: fresh.rules, memberships: new LRUCache({ max: knownMembersPerRoom }) };
    for (const userId of userIds) {
      known.memberships.set(userId, { membership: fresh.memberships.get(userId) ?? null });
    }
    if (userIds.length <= knownMembersPerRoom) rooms.set(roomId, known);
    return known;
  }

  return {
    async load(roomId, userIds) {
      let known = rooms.get(roomId) ?? null;
      const missing = known === null ? [] : userIds.filter((userId) => !known?.memberships.has(userId));
      if (known !== null && missing.length > 0 && userIds.length <= knownMembersPerRoom) {
        const more = await membershipsOf(reader, roomId, missing);
        if (more?.version === known.rules.version) {
          for (const userId of missing) {
            known.memberships.set(userId, { membership: more.memberships.get(userId) ?? null });
          }
        } else {
          known = null;
        }
      }
      if (userIds.length > knownMembersPerRoom) return loadAuthority(reader, roomId, userIds);
      known ??= await read(roomId, userIds);
      if (known === null) return null;
      const memberships = userIds.map(
        (userId) => [userId, known.memberships.get(userId)?.membership ?? null] as [string, Membership | null],
      );
      return new RoomAuthority(known.rules, new Map(memberships));
    },

    apply(event) {
      const known = rooms.peek(event.roomId);
      if (known === undefined || event.authVersion === null || event.authVersion <= known.rules.version) return;
      const content = event.content === null ? null : (JSON.parse(event.content) as Record<string, unknown>);
      if (event.type !== "m.room.member" || event.authVersion !== known.rules.version + 1) {
        rooms.delete(event.roomId);
        return;
      }
      const membership = (content?.["membership"] as Membership | undefined) ?? null;
      known.memberships.set(event.stateKey ?? "", { membership });
      known.rules = { ...known.rules, version: event.authVersion };
    },

    forget(roomId) {
      rooms.delete(roomId);
    },
  };
}

/** The same straight from the store, for use under the append lock. */
export async function loadAuthority(
  connection: Connection,
  roomId: string,
  userIds: readonly string[],
): Promise<RoomAuthority | null> {
  const fresh = await roomRules(connection, roomId, userIds);
  return fresh && new RoomAuthority(fresh.rules, fresh.memberships);
}
