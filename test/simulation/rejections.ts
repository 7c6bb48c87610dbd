import type { RoomAccess } from "../../src/domain/reading/views.ts";
import { inSpans } from "../../src/domain/rules/visibility.ts";
import type { Snapshot } from "../kit/mirror/snapshot.ts";
import { inOrder, membershipMade, type HeldEvent, type Journal } from "./journal.ts";
import { isMarker } from "./markers.ts";
import { Reader } from "./visibility.ts";

/** What holds each slot of a room by a replay of its events in force, those left out that were rejected before a moment. */
function replay(room: readonly HeldEvent[], rejected: Journal["rejected"], until = Infinity): Map<string, HeldEvent> {
  const slots = new Map<string, HeldEvent>();
  for (const event of room) {
    const rejectedThen = (rejected.get(event.id) ?? Infinity) < until;
    if (event.key === null || event.insertedAfter !== null || rejectedThen || event.seq >= until) continue;
    slots.set(`${event.type} ${event.key}`, event);
  }
  return slots;
}

/** Throws unless the state in a fresh sync is what a replay of the events in force leads to. [EVS-7] */
export function expectReplayed(userId: string, { rooms }: Snapshot, byRoom: Rooms, { rejected }: Journal): void {
  for (const { roomId, state } of rooms) {
    const due = [...replay(byRoom.get(roomId)!, rejected)]
      .filter(([, { content }]) => content !== null)
      .map(([slot, { id, content }]) => `${slot} ${id} ${content}`);
    const shown = state
      .filter((event) => !isMarker(event))
      .map((event) => `${event.type} ${event.stateKey} ${event.eventId} ${event.content}`);
    if (shown.sort().join("\n") === due.sort().join("\n")) continue;
    throw new Error(`[EVS-7] state of ${roomId} for ${userId}:\n${shown.join("\n")}\ninstead of\n${due.join("\n")}`);
  }
}

/** The events of each room, in stream order. */
export type Rooms = Map<string, HeldEvent[]>;

/**
 * Throws unless each rejection of state that held was followed by the event that restores the slot, at once and to what
 * then was there before it, and nothing else was restored. [EVS-7]
 */
export function expectRestored(byRoom: Rooms, { byId, rejected }: Journal): void {
  const room = (event: HeldEvent): HeldEvent[] => byRoom.get(event.room)!;
  const slotOf = (event: HeldEvent): string => `${event.type} ${event.key}`;
  const restoring = new Map<string, HeldEvent>();
  for (const event of [...byId.values()].filter(isServersState)) {
    const target = byId.get(event.replaces ?? "");
    if (target === undefined || (rejected.get(target.id) ?? Infinity) > event.seq) {
      throw new Error(`[EVS-7] ${event.id} took the slot ${slotOf(event)} from ${target?.id}, which wasn't rejected`);
    }
    restoring.set(target.id, event);
    const earlier = room(target).filter((each) => inOrder(each, target) < 0);
    const before = replay(earlier, rejected, event.seq).get(slotOf(target));
    const right = event.made === (before?.made ?? null) || (before?.redacted === true && event.made === "{}");
    if (!right) {
      throw new Error(
        `[EVS-7] ${event.id} restored ${slotOf(event)} to ${event.made}, before ${target.id} was ${before?.id}: ${before?.made}`,
      );
    }
  }
  for (const [id, seq] of rejected) {
    const target = byId.get(id)!;
    const held = replay(room(target), rejected, seq).get(slotOf(target))?.id === id;
    if (held !== restoring.has(id)) {
      throw new Error(`[EVS-7] ${id} ${held ? "held" : "didn't hold"} ${slotOf(target)}: ${restoring.get(id)?.id}`);
    }
  }
}

function isServersState({ sender, type, key, insertedAfter }: HeldEvent): boolean {
  return !sender.startsWith("@") && key !== null && type !== "m.room.aliases" && insertedAfter === null;
}

/** Throws unless a user may read exactly what they could if nothing that was rejected had ever been. [EVS-7, EV-9] */
export function expectAccess(
  userId: string,
  access: ReadonlyMap<string, RoomAccess>,
  byRoom: Rooms,
  { rejected }: Journal,
): void {
  for (const [roomId, events] of byRoom) {
    const reader = new Reader(events, userId, new Set(rejected.keys()));
    const { membership = null, view = null, ownPositions } = access.get(roomId)!;
    const spans = view?.spans ?? [];
    const faults: string[] = [];
    if ((membership ?? "leave") !== (reader.membership || "leave")) {
      faults.push(`membership is ${membership} instead of ${reader.membership}`);
    }
    let before = "";
    for (const event of [
      ...events,
      { ...events.at(-1)!, id: "what comes next", major: Infinity, minor: "", key: null },
    ]) {
      const place = { major: event.major, minor: event.minor };
      if (inSpans(place, spans) !== reader.reads(event)) {
        faults.push(`${event.id} is ${reader.reads(event) ? "hidden" : "shown"}`);
      }
      if (event.type !== "m.room.member" || event.key !== userId || event.insertedAfter !== null) continue;
      const own = [before, membershipMade(event)].some((each) => ["join", "invite", "knock"].includes(each));
      if (own !== ownPositions.has(event.position))
        faults.push(`${event.id}, their own, is ${own ? "hidden" : "shown"}`);
      before = membershipMade(event);
    }
    if (faults.length > 0)
      throw new Error(`[EVS-7] ${roomId} for ${userId}: ${faults.join(", ")}; ${JSON.stringify(spans)}`);
  }
}
