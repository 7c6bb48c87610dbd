import type { EventRelation, StoredEvent } from "../model/event.ts";
import { isFound } from "./database.ts";

/** Columns of an event as `EventRow` names them. Positions stay below 2^53, so a float carries them. */
export const eventColumns = `event.position::float8 AS position, event.event_id, event.room_id,
  event.major::float8 AS major, encode(event.minor, 'hex') AS minor, event.type, event.state_key, event.sender,
  event.sent_at::float8 AS sent_at, event.content, event.replaces_id, event.updates_id, event.relates_to,
  event.redacts_id, event.redacted_by_id, event.inserted_after_id, event.action_user, event.action_device, event.action_id,
  event.suppressed, event.signatures, event.auth_version::float8 AS auth_version,
  event.state_key IS NULL AND ${isFound("FROM event AS child WHERE child.updates_id = event.event_id")} AS updated`;

export interface EventRow {
  position: number;
  event_id: string;
  room_id: string;
  major: number;
  minor: string;
  type: string;
  state_key: string | null;
  sender: string;
  sent_at: number;
  content: string | null;
  replaces_id: string | null;
  updates_id: string | null;
  relates_to: string | null;
  redacts_id: string | null;
  redacted_by_id: string | null;
  inserted_after_id: string | null;
  action_user: string | null;
  action_device: string | null;
  action_id: string | null;
  suppressed: boolean;
  signatures: string | null;
  auth_version: number | null;
  updated: boolean;
}

export function eventOfRow(row: EventRow): StoredEvent {
  return {
    kind: row.state_key === null ? "MESSAGE" : "STATE",
    position: row.position,
    eventId: row.event_id,
    roomId: row.room_id,
    place: { major: row.major, minor: row.minor },
    type: row.type,
    stateKey: row.state_key,
    sender: row.sender,
    sentAt: row.sent_at,
    content: row.content,
    replacesId: row.replaces_id,
    updatesId: row.updates_id,
    relatesTo: row.relates_to === null ? [] : relationsOfJson(row.relates_to),
    redactsId: row.redacts_id,
    redactedById: row.redacted_by_id,
    insertedAfterId: row.inserted_after_id,
    action:
      row.action_device === null
        ? null
        : { userId: row.action_user ?? row.sender, deviceId: row.action_device, actionId: row.action_id },
    suppressed: row.suppressed,
    signatures: row.signatures,
    authVersion: row.auth_version,
    marker: null,
    updated: row.updated,
  };
}

/** Events of JSON that PostgreSQL made of such rows, in their order. */
export function eventsOfJson(json: string): StoredEvent[] {
  return (JSON.parse(json) as EventRow[]).map(eventOfRow);
}

function relationsOfJson(json: string): EventRelation[] {
  const relations = JSON.parse(json) as { type: string; event_id: string; key?: string }[];
  return relations.map(({ type, event_id, key }) => ({ type, eventId: event_id, key: key ?? null }));
}
