import type { MarkerReach, StoredEvent } from "./event.ts";
import type { EventId, RoomId, UserId } from "./ids.ts";
import type { Place } from "./order.ts";

/** What a marker says: that the events up to one were delivered to a user, or read by them. [ACT-11] */
export const markerKinds = ["delivered", "read"] as const;
export type MarkerKind = (typeof markerKinds)[number];

/** Where a user stands in a room; one of each kind, as far as others can tell. [ACT-11] */
export interface Marker {
  roomId: RoomId;
  userId: UserId;
  kind: MarkerKind;
  /** Shown to the user's own devices alone. */
  private: boolean;
  /** The last event that it covers, and its place. */
  markedId: EventId;
  place: Place;
  /** Milliseconds since the epoch. */
  setAt: number;
}

/** A move of a marker, which the stream carries like the setting of a state slot. */
export interface MarkerMove extends Omit<Marker, "roomId"> {
  /** Id of the event on the stream. */
  moveId: EventId;
  device: string | null;
  actionId: string | null;
  suppressed: boolean;
}

/** The type of the state event that a marker looks like. */
export function markerType(kind: MarkerKind): string {
  return `m.room.marker.${kind}`;
}

/** The kind of marker that a state type stands for; null for all other types. */
export function markerKindOf(type: string): MarkerKind | null {
  return markerKinds.find((kind) => markerType(kind) === type) ?? null;
}

/** A marker as the state event that clients see: it has a position in the stream, but no place in its room. [ACT-11] */
export function moveEvent(
  move: MarkerMove & { roomId: RoomId; position: number; reach: MarkerReach | null },
): StoredEvent {
  return {
    kind: "STATE",
    position: move.position,
    eventId: move.moveId,
    roomId: move.roomId,
    place: { major: move.position, minor: "" },
    type: markerType(move.kind),
    stateKey: move.userId,
    sender: move.userId,
    sentAt: move.setAt,
    content: JSON.stringify({ event_id: move.markedId }),
    replacesId: null,
    updatesId: null,
    relatesTo: [],
    redactsId: null,
    redactedById: null,
    insertedAfterId: null,
    action: move.device === null ? null : { userId: move.userId, deviceId: move.device, actionId: move.actionId },
    suppressed: move.suppressed,
    signatures: null,
    authVersion: null,
    marker: move.reach ?? (move.private ? "own" : "all"),
    updated: false,
  };
}
