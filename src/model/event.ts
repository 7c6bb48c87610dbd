import type { EventId, RoomId, UserId } from "./ids.ts";
import { badInput } from "./errors.ts";
import type { Place } from "./order.ts";

/** The state key that stands for the older empty one. [EV-2] */
export const emptyStateKey = "_";

/** A parent that an event relates to, with the key that reactions carry. [REL-1, REL-4] */
export interface EventRelation {
  type: string;
  eventId: EventId;
  key: string | null;
}

/** Whom the move of a marker reaches: its user alone, everybody else in the room, or both. [ACT-11] */
export type MarkerReach = "own" | "others" | "all";

/** An event as it is stored. */
export interface StoredEvent {
  kind: "STATE" | "MESSAGE";
  /** Place in the stream of the whole server. [STR-3] */
  position: number;
  eventId: EventId;
  roomId: RoomId;
  place: Place;
  /** Without the kind's prefix. */
  type: string;
  stateKey: string | null;
  /** A user id, or the server's name. [EV-5] */
  sender: string;
  /** Milliseconds since the epoch. [EV-7] */
  sentAt: number;
  /** Canonical JSON; null when the event deletes its state. [ACT-9] */
  content: string | null;
  replacesId: EventId | null;
  updatesId: EventId | null;
  relatesTo: EventRelation[];
  redactsId: EventId | null;
  redactedById: EventId | null;
  /** Set on out-of-order events. [EVS-6] */
  insertedAfterId: EventId | null;
  /** The device that acted and its action id; other devices never see them. [EVS-8] */
  action: { userId: UserId; deviceId: string; actionId: string | null } | null;
  /** The acting device asked not to get it on its stream. [ACT-15] */
  suppressed: boolean;
  /** Users' signatures by user or server id and key id, canonical JSON. [ACT-13] */
  signatures: string | null;
  /** The room's auth version that the event brought about, if it moved it. */
  authVersion: number | null;
  /** Of the move of a marker, which stands in no timeline: whom it reaches. Null for all other events. [ACT-11] */
  marker: MarkerReach | null;
  /** Whether there were updates of it when it was read: without any, nobody has to look for them. Null: not known. */
  updated: boolean | null;
}

/** An event that is made from others when it is delivered, and never stored. */
export interface EphemeralEvent {
  kind: "EPHEMERAL";
  eventId: string;
  roomId: RoomId | null;
  type: string;
  sender: string;
  sentAt: number;
  content: string;
}

export type AnyEvent = StoredEvent | EphemeralEvent;

/** What an action wants appended; the writer adds ids, position, place and time. */
export interface EventDraft {
  type: string;
  /** Undefined for message events. */
  stateKey?: string;
  sender: string;
  /** Canonical JSON; null deletes the state. */
  content: string | null;
  updatesId?: EventId;
  relatesTo?: EventRelation[];
  redactsId?: EventId;
  /** Where it has to be known beforehand. */
  eventId?: EventId;
  /** Milliseconds since the epoch; the writer's clock unless given. [AS-7] */
  sentAt?: number;
  /** The action id of this event of a batch, where it isn't the batch's. [ACT-2] */
  actionId?: string;
  /** What restores state after a rejection: the event whose content it took. [EVS-7] */
  restoresId?: EventId;
  /** Where it goes in the past of its room; undefined: at the end. [EVS-6] */
  inserted?: { afterId: EventId; place: Place };
  /** Signatures of users, canonical JSON; an event that is prepared has its id beforehand. [ACT-13] */
  signatures?: string;
  /** What it can't update or relate to is left out, since its content says so anyway: in the older form anything may be named. [AS-13] */
  relatesWhereItCan?: boolean;
  /** Where in the action's input it is, such as `messages.56.`, for errors. */
  inputPath?: string;
}

/** State whose change makes authorisations done before it stale. [EV-9] */
const authorisingTypes = new Set([
  "m.room.create",
  "m.room.member",
  "m.room.power_levels",
  "m.room.join_rules",
  "m.room.history_visibility",
]);

/** Whether the event can change who may do what in its room; what is inserted into the past changes nothing. */
export function movesAuth(event: { type: string; stateKey?: string | null | undefined; inserted?: unknown }): boolean {
  if (event.stateKey === undefined || event.stateKey === null || event.inserted !== undefined) return false;
  return authorisingTypes.has(event.type);
}

/** Types that only the server makes, as events or as what is derived from them. */
export function isServersOwn(type: string): boolean {
  return /^(m\.homeserver\..*|m\.typing|m\.presence|m\.room\.redaction|m\.room\.marker\..*)$/.test(type);
}

/** `state:m.room.name` [EV-1] */
export function qualifiedType(event: AnyEvent): string {
  return `${event.kind.toLowerCase()}:${event.type}`;
}

/**
 * The plain type of an input that may carry its kind as a prefix. [EV-1]
 * Throws `BAD_INPUT` for a prefix of another kind, and for empty, overlong or unprintable types.
 */
export function plainType(type: string, kind: "STATE" | "MESSAGE", field: string): string {
  const match = /^(state|message|ephemeral):(.*)$/s.exec(type);
  const plain = match ? (match[2] ?? "") : type;
  if (match && match[1] !== kind.toLowerCase()) {
    throw badInput(field, `is the type of ${match[1]} events, not of ${kind.toLowerCase()} events`);
  }
  if (plain === "" || Buffer.byteLength(plain) > 255 || /[\u0000-\u001f\u007f]/.test(plain) || !plain.isWellFormed()) {
    throw badInput(field, "is empty, longer than 255 bytes or holds control characters");
  }
  return plain;
}

/** The parsed content; null when the event deletes its state. */
export function contentOf(event: AnyEvent): Record<string, unknown> | null {
  return event.content === null ? null : (JSON.parse(event.content) as Record<string, unknown>);
}

/** Whether this is the device that acted, which alone sees the action id. [EVS-8] */
export function actedFrom(event: StoredEvent, viewer: { userId: UserId; deviceId: string }): boolean {
  return event.action?.userId === viewer.userId && event.action.deviceId === viewer.deviceId;
}

/**
 * The event as one JSON document in client form: prefixed type, `origin_server_ts` in milliseconds. [EV-1, EV-7]
 * A deleted state event has no `content`; `action_id` is there only for the device that `acted`.
 */
export function clientJson(
  event: AnyEvent,
  acted: boolean,
  prevContent: Record<string, unknown> | null,
): Record<string, unknown> {
  const json: Record<string, unknown> = {
    event_id: event.eventId,
    type: qualifiedType(event),
    sender: event.sender,
    origin_server_ts: event.sentAt,
  };
  if (event.roomId !== null) json["room_id"] = event.roomId;
  const content = contentOf(event);
  if (content !== null) json["content"] = content;
  if (event.kind === "EPHEMERAL") return json;
  if (event.stateKey !== null) json["state_key"] = event.stateKey;
  if (prevContent !== null) json["prev_content"] = prevContent;
  if (event.replacesId !== null) json["replaces_state"] = event.replacesId;
  if (event.updatesId !== null) json["updates"] = event.updatesId;
  if (event.relatesTo.length > 0) json["relates_to"] = relationsJson(event.relatesTo);
  if (event.redactsId !== null) json["redacts"] = event.redactsId;
  if (event.redactedById !== null) json["redacted_by"] = event.redactedById;
  if (event.insertedAfterId !== null) json["inserted_after"] = event.insertedAfterId;
  const signatures = usersSignatures(event);
  if (signatures !== null) json["signatures"] = signatures;
  if (acted && event.action?.actionId) json["action_id"] = event.action.actionId;
  return json;
}

/** The `relates_to` list of event JSON. [REL-1] */
export function relationsJson(relations: readonly EventRelation[]): Record<string, unknown>[] {
  return relations.map(({ type, eventId, key }) => ({ type, event_id: eventId, ...(key === null ? {} : { key }) }));
}

/** Users' signatures by user or server id and key id; null without any. Of a redacted event they would cover what is gone. [ACT-13] */
export function usersSignatures(event: StoredEvent): Record<string, Record<string, string>> | null {
  if (event.signatures === null || event.redactedById !== null) return null;
  return JSON.parse(event.signatures) as Record<string, Record<string, string>>;
}
