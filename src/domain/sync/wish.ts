import { actedFrom, type EphemeralEvent, type StoredEvent } from "../../model/event.ts";
import type { Filter } from "../../model/filter.ts";
import { markerKinds, markerType } from "../../model/marker.ts";
import { passes, patternsOf, type Patterns } from "../../model/patterns.ts";
import { profileType } from "../../model/profile.ts";
import type { Selection } from "../../model/selection.ts";
import type { StreamBase } from "../../model/tokens.ts";
import { selects } from "../rules/filter.ts";
import { membershipSet } from "../rules/membership.ts";

/** Whether a filter lets markers of any kind pass. [ACT-11] */
export function listsMarkers({ types }: Selection): boolean {
  return markerKinds.some((kind) => passes(types.STATE, markerType(kind)));
}

/** What an open stream asks for, of all that its user may see. [EVS-1] */
export class Wish {
  readonly base: StreamBase;
  readonly filter: Filter;
  /** Also what is inserted into the past of a room. [EVS-6] */
  readonly outOfOrder: boolean;
  readonly #rooms: Set<string> | null;
  readonly #users: Set<string> | null;
  readonly #userPatterns: Patterns;

  constructor(base: StreamBase, filter: Filter, outOfOrder: boolean) {
    this.base = base;
    this.filter = filter;
    this.outOfOrder = outOfOrder;
    this.#rooms = base.rooms && new Set(base.rooms);
    this.#users = base.users && new Set(base.users);
    this.#userPatterns = patternsOf(filter.definition.users);
  }

  /** Whether the event comes down the stream. [STR-1, ACT-15] */
  wants(event: StoredEvent): boolean {
    if (this.#rooms !== null && !this.#rooms.has(event.roomId)) return false;
    if (event.insertedAfterId !== null && !this.outOfOrder) return false;
    if (event.suppressed && actedFrom(event, this.base)) return false;
    if (event.type === profileType && !this.#wantsUser(event.stateKey ?? "")) return false;
    return selects(this.filter.selection, event);
  }

  /** Whether the event has to be looked at: it is wanted, or what is derived from it may be. */
  concerns(event: StoredEvent): boolean {
    return this.wants(event) || (this.isOwnJoin(event) && (this.#rooms === null || this.#rooms.has(event.roomId)));
  }

  /** Whether what isn't stored comes down the stream: typing in its rooms, presence of its users. [EVS-12, PRE-4] */
  wantsEphemeral(event: EphemeralEvent): boolean {
    if (this.#rooms !== null && event.roomId !== null && !this.#rooms.has(event.roomId)) return false;
    if (event.type === "m.presence" && !this.#wantsUser(event.sender)) return false;
    return selects(this.filter.selection, event);
  }

  /** A join of the stream's own user, which scrolling back is derived from. [EVS-9] */
  isOwnJoin(event: StoredEvent): boolean {
    const own = event.type === "m.room.member" && event.stateKey === this.base.userId;
    return own && event.insertedAfterId === null && membershipSet(event) === "join";
  }

  /** Presence and profile changes come of the users that both token and filter take in. [STR-1, FIL-2] */
  #wantsUser(userId: string): boolean {
    return (this.#users === null || this.#users.has(userId)) && passes(this.#userPatterns, userId);
  }
}
