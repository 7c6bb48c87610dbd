import type { StoredEvent } from "../../model/event.ts";
import type { BatchResult, BatchUnit, PlacedDraft } from "../../store/append.ts";

/** The events of a batch as they were stored, by unit; empty for units that weren't appended. Saves reading them back. */
export function storedEvents(units: readonly BatchUnit[], result: BatchResult): StoredEvent[][] {
  let number = 0;
  return units.map((unit, index) => {
    const first = number;
    number += unit.events.length;
    if (result.units[index]?.outcome !== "appended") return [];
    return unit.events.map((event, offset) => {
      const position = result.positions[first + offset]!;
      return storedEvent(unit.roomId, event, position, result.replaces[first + offset] ?? null);
    });
  });
}

function storedEvent(roomId: string, event: PlacedDraft, position: number, replacesId: string | null): StoredEvent {
  return {
    kind: event.stateKey === undefined ? "MESSAGE" : "STATE",
    position,
    eventId: event.eventId,
    roomId,
    place: event.place ?? { major: position, minor: "" },
    type: event.type,
    stateKey: event.stateKey ?? null,
    sender: event.sender,
    sentAt: event.sentAt,
    content: event.content,
    replacesId,
    updatesId: event.updatesId ?? null,
    relatesTo: event.relatesTo ?? [],
    redactsId: event.redactsId ?? null,
    redactedById: null,
    insertedAfterId: event.insertedAfterId ?? null,
    action: event.device === null ? null : { deviceId: event.device, actionId: event.actionId ?? null },
    suppressed: event.suppressed,
    authVersion: event.authVersion,
    updated: null,
  };
}
