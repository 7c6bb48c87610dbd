import { contentOf, type StoredEvent } from "../../model/event.ts";
import { groupBy } from "../../model/groupBy.ts";
import { olderForm, showsProfile } from "../../model/olderForm.ts";
import { profileType, type Profile } from "../../model/profile.ts";
import type { Connection } from "../../store/database.ts";
import { eventsById } from "../../store/events.ts";
import { profilesOf } from "../../store/profiles.ts";
import { stateInSlots, type SlotAt } from "../../store/state.ts";
import { membershipSet } from "../rules/membership.ts";

/** How events are told in the older form. */
export interface OlderOptions {
  serverName: string;
  /** Milliseconds since the epoch: ages are told from there. */
  now: number;
}

/**
 * Events in the older form, in their order; three statements at most, whatever their number. [AS-13] The caller has seen to it that who is told
 * may see them. Left out are moves of markers, and the profile that comes just before its user's join, which tells it.
 */
export async function olderForms(
  connection: Connection,
  events: readonly StoredEvent[],
  options: OlderOptions,
): Promise<Record<string, unknown>[]> {
  const found = await olderFormsById(connection, events, options);
  return events.flatMap(({ eventId }) => {
    const json = found.get(eventId);
    return json === undefined ? [] : [json];
  });
}

/** The same by event id. */
export async function olderFormsById(
  connection: Connection,
  events: readonly StoredEvent[],
  options: OlderOptions,
): Promise<Map<string, Record<string, unknown>>> {
  const placed = events.filter(({ marker }) => marker === null);
  const named = placed.flatMap(({ replacesId, redactedById }) => [replacesId, redactedById]);
  const byId = await byIdOf(connection, named);
  const of = (eventId: string | null): StoredEvent | null => (eventId === null ? null : (byId.get(eventId) ?? null));
  const states = await Slots.read(
    connection,
    placed.flatMap((event) => slotsOf(event, of(event.replacesId))),
  );
  const globals = await globalProfiles(
    connection,
    placed.flatMap((event) => states.missing(event, of(event.replacesId))),
  );

  const shownAt = (event: StoredEvent, at: number): Profile | null =>
    profileIn(states.at(profileSlot(event, at))) ?? globals.get(event.stateKey ?? "") ?? null;

  function told(event: StoredEvent): Record<string, unknown> | null {
    const [replaced, redaction] = [of(event.replacesId), of(event.redactedById)];
    const context = { ...options, replaced, redaction };
    if (isProfile(event)) {
      const member = states.at(memberSlot(event));
      if (member === null || membershipSet(member) !== "join") return null;
      // What the older form knows before it is the join, or a change after that.
      const shownBy = replaced !== null && replaced.place.major > member.place.major ? replaced : null;
      const before = { profile: profileIn(replaced), shownBy };
      return olderForm(event, { ...context, replaced: member, profile: null, before });
    }
    const profile = showsProfile(event) ? shownAt(event, event.place.major) : null;
    if (replaced === null || !showsProfile(replaced)) return olderForm(event, { ...context, profile, before: none });
    const at = lastBefore(event, replaced);
    const shownBy = membershipSet(replaced) === "join" ? states.at(profileSlot(event, at)) : null;
    const changed = shownBy !== null && shownBy.place.major > replaced.place.major;
    const before = { profile: shownAt(event, at), shownBy: changed ? shownBy : null };
    return olderForm(event, { ...context, profile, before });
  }

  return new Map(
    placed.flatMap((event) => {
      const json = told(event);
      return json === null ? [] : [[event.eventId, json] as const];
    }),
  );
}

/**
 * A room's state as the older form knows it, of all state or of memberships and profiles: the last change of a member's
 * profile stands in place of their join, and profiles have no place of their own. [AS-13]
 */
export function olderState(events: readonly StoredEvent[]): StoredEvent[] {
  const profiles = new Map(events.filter(isProfile).map((event) => [event.stateKey, event]));
  return events.flatMap((event) => {
    if (isProfile(event)) return [];
    const profile = event.type === "m.room.member" ? profiles.get(event.stateKey) : undefined;
    const changed = profile !== undefined && profile.position > event.position && membershipSet(event) === "join";
    return [changed ? profile : event];
  });
}

const none = { profile: null, shownBy: null };

function isProfile({ type, stateKey }: StoredEvent): boolean {
  return type === profileType && stateKey !== null;
}

function memberSlot({ roomId, stateKey, place }: StoredEvent): SlotAt {
  return { roomId, type: "m.room.member", stateKey: stateKey ?? "", at: place.major };
}

function profileSlot({ roomId, stateKey }: StoredEvent, at: number): SlotAt {
  return { roomId, type: profileType, stateKey: stateKey ?? "", at };
}

/** Where the profile stood that a replaced membership showed last: a join shows each change, all others what was there. */
function lastBefore(event: StoredEvent, replaced: StoredEvent): number {
  return membershipSet(replaced) === "join" ? event.place.major - 1 : replaced.place.major;
}

/** What has to be known of a room's state to tell an event. */
function slotsOf(event: StoredEvent, replaced: StoredEvent | null): SlotAt[] {
  if (isProfile(event)) return [memberSlot(event)];
  return [
    ...(showsProfile(event) ? [profileSlot(event, event.place.major)] : []),
    ...(replaced !== null && showsProfile(replaced) ? [profileSlot(event, lastBefore(event, replaced))] : []),
  ];
}

function profileIn(event: StoredEvent | null): Profile | null {
  return event === null ? null : contentOf(event);
}

/** State slots at several positions, read at once. */
class Slots {
  readonly #bySlot: ReadonlyMap<string, StoredEvent[]>;

  constructor(bySlot: ReadonlyMap<string, StoredEvent[]>) {
    this.#bySlot = bySlot;
  }

  static async read(connection: Connection, slots: readonly SlotAt[]): Promise<Slots> {
    const held = slots.length === 0 ? [] : await stateInSlots(connection, slots);
    return new Slots(groupBy(held, ({ roomId, type, stateKey }) => nameOf({ roomId, type, stateKey: stateKey ?? "" })));
  }

  /** The event that holds a slot; of those that were read, the newest up to the position does. */
  at(slot: SlotAt): StoredEvent | null {
    const events = this.#bySlot.get(nameOf(slot)) ?? [];
    return events.filter(({ place }) => place.major <= slot.at).reduce<StoredEvent | null>(newer, null);
  }

  /** The member, if the room tells no profile of theirs where it is asked for. */
  missing(event: StoredEvent, replaced: StoredEvent | null): string[] {
    const empty = slotsOf(event, replaced).some((slot) => slot.type === profileType && this.at(slot) === null);
    return empty && event.stateKey !== null ? [event.stateKey] : [];
  }
}

function newer(one: StoredEvent | null, other: StoredEvent): StoredEvent {
  return one !== null && one.place.major > other.place.major ? one : other;
}

function nameOf({ roomId, type, stateKey }: Pick<SlotAt, "roomId" | "type" | "stateKey">): string {
  return JSON.stringify([roomId, type, stateKey]);
}

async function byIdOf(connection: Connection, eventIds: readonly (string | null)[]): Promise<Map<string, StoredEvent>> {
  const wanted = [...new Set(eventIds.filter((eventId) => eventId !== null))];
  const events = wanted.length === 0 ? [] : await eventsById(connection, wanted);
  return new Map(events.map((event) => [event.eventId, event]));
}

/** Global profiles, for members whose rooms tell none. [PRO-1] */
async function globalProfiles(connection: Connection, userIds: readonly string[]): Promise<Map<string, Profile>> {
  const wanted = [...new Set(userIds)];
  const rows = wanted.length === 0 ? [] : await profilesOf(connection, wanted);
  return new Map(
    [...groupBy(rows, ({ userId }) => userId)].map(([userId, own]) => [
      userId,
      Object.fromEntries(own.map(({ key, value }) => [key, JSON.parse(value) as unknown])),
    ]),
  );
}
