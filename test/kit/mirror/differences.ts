import { comparePlaces } from "../../../src/model/order.ts";
import { describeEntry, sameEntry, type Entry } from "./entry.ts";
import type { ClientModel, RoomModel } from "./model.ts";
import type { RoomSnapshot, Snapshot } from "./snapshot.ts";

/**
 * Throws, with what differs, when a client's model isn't what a fresh whole sync says. `disputed`: events that the client may
 * or may not hold, by ids; all others it must hold or not as the sync does.
 */
export function expectAgreement(
  userId: string,
  fresh: Snapshot,
  model: ClientModel,
  disputed: ReadonlySet<string> = new Set(),
): void {
  const lines = differencesFrom(fresh, model, disputed);
  if (lines.length > 0) throw new Error(`${userId} was led astray:\n${lines.join("\n")}`);
}

/** In lines for people; none when they agree. */
function differencesFrom(fresh: Snapshot, model: ClientModel, disputed: ReadonlySet<string>): string[] {
  const freshInvites = new Map(fresh.invites.map((event) => [event.roomId, event.eventId]));
  const freshRooms = new Map(fresh.rooms.map((room) => [room.roomId, room]));
  return [
    ...keysOf(model.invites, freshInvites).flatMap((roomId) =>
      unequal(`invite to ${roomId}`, model.invites.get(roomId), freshInvites.get(roomId)),
    ),
    ...keysOf(model.rooms, freshRooms).flatMap((roomId) => {
      const [room, freshRoom] = [model.rooms.get(roomId), freshRooms.get(roomId)];
      if (!room || !freshRoom) return unequal(`room ${roomId}`, room && "joined", freshRoom && "joined");
      const found = [...stateDifferences(room, freshRoom), ...timelineDifferences(room, freshRoom, disputed)];
      return found.length === 0 ? [] : [`room ${roomId}:`, ...found.map((line) => `  ${line}`)];
    }),
  ];
}

function keysOf(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): string[] {
  return [...new Set([...one.keys(), ...other.keys()])].sort();
}

function unequal(what: string, model: string | undefined, fresh: string | undefined): string[] {
  if (model === fresh) return [];
  return [`${what}: the client has ${model ?? "nothing"}, a fresh sync ${fresh ?? "nothing"}`];
}

function stateDifferences(room: RoomModel, fresh: RoomSnapshot): string[] {
  const freshState = new Map(
    fresh.state.map((event) => [`${event.type} ${event.stateKey}`, { id: event.eventId, content: event.content }]),
  );
  const text = (held: { id: string; content: string | null } | undefined): string | undefined =>
    held && `${held.id} ${held.content}`;
  return keysOf(room.state, freshState).flatMap((slot) =>
    unequal(`state ${slot}`, text(room.state.get(slot)), text(freshState.get(slot))),
  );
}

/** The client may hold more of the past than a fresh page does, but not less. */
function timelineDifferences(
  room: RoomModel,
  { timeline: fresh, moreBefore }: RoomSnapshot,
  disputed: ReadonlySet<string>,
): string[] {
  if (room.timeline.some(isIn(disputed)) || fresh.some(isIn(disputed))) {
    const held = undisputed(room.timeline, moreBefore ? fresh[0] : undefined, disputed);
    const due = undisputed(fresh, room.timeline[0], disputed);
    if (held.length === due.length && held.every((entry, index) => sameEntry(entry, due[index]!))) return [];
    return [
      "timeline without what is disputed, - only the client's, + only the fresh sync's:",
      ...sideBySide(held, due),
    ];
  }
  const held = room.timeline.slice(fresh.length === 0 ? room.timeline.length : -fresh.length);
  const tooLong = !moreBefore && room.timeline.length > fresh.length;
  const same = held.length === fresh.length && held.every((entry, index) => sameEntry(entry, fresh[index]!));
  if (same && !tooLong) return [];
  const shown = tooLong ? room.timeline : held;
  return [
    `timeline, - only the client's, + only the fresh sync's${moreBefore ? "" : " (which goes back to the beginning)"}:`,
    ...sideBySide(shown, fresh),
  ];
}

/** Whether an entry is among these, or something inside of it. */
function isIn(ids: ReadonlySet<string>): (entry: Entry) => boolean {
  return ({ id, children }) => ids.has(id) || children.some((child) => ids.has(child.id));
}

/** Entries from the place of one on: what is disputed moves the beginning of a page, and nothing else. */
function undisputed(entries: readonly Entry[], from: Entry | undefined, disputed: ReadonlySet<string>): Entry[] {
  return entries
    .filter(({ id, place }) => !disputed.has(id) && (from === undefined || comparePlaces(place, from.place) >= 0))
    .map((entry) => ({ ...entry, children: entry.children.filter(({ id }) => !disputed.has(id)) }));
}

function sideBySide(model: readonly Entry[], fresh: readonly Entry[]): string[] {
  const lines: string[] = [];
  const freshIndex = new Map(fresh.map(({ id }, index) => [id, index]));
  let next = 0;
  for (const entry of model) {
    const index = freshIndex.get(entry.id);
    if (index === undefined || index < next) {
      lines.push(`  - ${describeEntry(entry)}`);
      continue;
    }
    for (; next < index; next++) lines.push(`  + ${describeEntry(fresh[next]!)}`);
    const other = fresh[next++]!;
    if (sameEntry(entry, other)) lines.push(`    ${entry.id}`);
    else lines.push(`  - ${describeEntry(entry)}`, `  + ${describeEntry(other)}`);
  }
  for (; next < fresh.length; next++) lines.push(`  + ${describeEntry(fresh[next]!)}`);
  return lines;
}
