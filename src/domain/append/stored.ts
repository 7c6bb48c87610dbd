import type { StoredEvent } from "../../model/event.ts";
import { moveEvent } from "../../model/marker.ts";
import type { BatchResult, BatchUnit, PlacedDraft } from "../../store/append.ts";

/**
 * The events of a batch as they were stored, by unit, and those of the markers that moved; empty for units that weren't
 * appended. Saves reading them back.
 */
export function storedEvents(units: readonly BatchUnit[], result: BatchResult): StoredEvent[][] {
  let number = 0;
  let markerNumber = 0;
  return units.map((unit, index) => {
    const first = number;
    const firstMarker = markerNumber;
    number += unit.events.length;
    markerNumber += unit.markers?.length ?? 0;
    if (result.units[index]?.outcome !== "appended") return [];
    const events = unit.events.map((event, offset) => {
      const position = result.positions[first + offset]!;
      return storedEvent(unit.roomId, event, position, result.replaces[first + offset] ?? null);
    });
    const moves = (unit.markers ?? []).flatMap((marker, offset) => {
      const move = result.moves[firstMarker + offset];
      return move === undefined ? [] : [moveEvent({ ...marker, roomId: unit.roomId, ...move })];
    });
    return [...events, ...moves];
  });
}

function storedEvent(roomId: string, event: PlacedDraft, position: number, replacesId: string | null): StoredEvent {
  return {
    kind: event.stateKey === undefined ? "MESSAGE" : "STATE",
    position,
    eventId: event.eventId,
    roomId,
    place: event.inserted?.place ?? { major: position, minor: "" },
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
    insertedAfterId: event.inserted?.afterId ?? null,
    action:
      event.device === null
        ? null
        : { userId: event.actor ?? event.sender, deviceId: event.device, actionId: event.actionId ?? null },
    suppressed: event.suppressed,
    signatures: event.signatures ?? null,
    authVersion: event.authVersion,
    marker: null,
    updated: null,
  };
}
