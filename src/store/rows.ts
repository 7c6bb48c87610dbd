import type { EventRelation, StoredEvent } from "../model/event.ts";
import { isFound } from "./database.ts";

/** SQL of the columns of `EventRow`, from `event`. */
const columns: Record<keyof EventRow, string> = {
  position: "event.position",
  event_id: "event.event_id",
  room_id: "event.room_id",
  major: "event.major",
  minor: "encode(event.minor, 'hex')",
  type: "event.type",
  state_key: "event.state_key",
  sender: "event.sender",
  sent_at: "event.sent_at",
  content: "event.content",
  replaces_id: "event.replaces_id",
  updates_id: "event.updates_id",
  relates_to: "event.relates_to",
  redacts_id: "event.redacts_id",
  redacted_by_id: "event.redacted_by_id",
  inserted_after_id: "event.inserted_after_id",
  action_user: "event.action_user",
  action_device: "event.action_device",
  action_id: "event.action_id",
  suppressed: "event.suppressed",
  signatures: "event.signatures",
  auth_version: "event.auth_version",
  updated: `event.state_key IS NULL AND ${isFound("FROM event AS child WHERE child.updates_id = event.event_id")}`,
};
const names = Object.keys(columns) as (keyof EventRow)[];
/** As integers the driver would give them as texts. All stay below 2^53, so a float carries them. */
const wide = new Set<keyof EventRow>(["position", "major", "sent_at", "auth_version"]);

/** Columns of an event as `EventRow` names them. */
export const eventColumns = names
  .map((name) => `(${columns[name]})${wide.has(name) ? "::float8" : ""} AS ${name}`)
  .join(", ");

/** The same for `eventList`, which takes numbers of any kind. */
export const listedColumns = names.map((name) => `${columns[name]} AS ${name}`).join(", ");

/** The same for events just as they were appended, whether they were updated since left open. */
export const appendedColumns = names
  .map((name) => (name === "updated" ? "NULL::boolean AS updated" : `${columns[name]} AS ${name}`))
  .join(", ");

/**
 * SQL that gathers rows of `alias` with the columns of an event into one text for `eventsOfJson`: in the order in which
 * they come, or in another. A list for each column takes PostgreSQL and V8 half as long as an object for each event, and is
 * far less for the driver than a row for each.
 */
export function eventList(alias: string, order?: string): string {
  const ordered = order === undefined ? "" : ` ORDER BY ${order}`;
  return `json_build_array(${names.map((name) => `json_agg(${alias}.${name}${ordered})`).join(", ")})::text`;
}

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

/** The values of each column, event by event. */
type Lists = { [Name in keyof EventRow]: EventRow[Name][] };

/** The events of a text that `eventList` made. */
export function eventsOfJson(json: string): StoredEvent[] {
  const values = JSON.parse(json) as (unknown[] | null)[];
  const lists = Object.fromEntries(names.map((name, index) => [name, values[index]])) as unknown as Lists;
  // Without any events the lists are null.
  return (lists.position as number[] | null)?.map((_position, n) => eventOfRow(rowOf(lists, n))) ?? [];
}

/** Written out, since this runs for each event of everything that is read. */
function rowOf(lists: Lists, n: number): EventRow {
  return {
    position: lists.position[n]!,
    event_id: lists.event_id[n]!,
    room_id: lists.room_id[n]!,
    major: lists.major[n]!,
    minor: lists.minor[n]!,
    type: lists.type[n]!,
    state_key: lists.state_key[n]!,
    sender: lists.sender[n]!,
    sent_at: lists.sent_at[n]!,
    content: lists.content[n]!,
    replaces_id: lists.replaces_id[n]!,
    updates_id: lists.updates_id[n]!,
    relates_to: lists.relates_to[n]!,
    redacts_id: lists.redacts_id[n]!,
    redacted_by_id: lists.redacted_by_id[n]!,
    inserted_after_id: lists.inserted_after_id[n]!,
    action_user: lists.action_user[n]!,
    action_device: lists.action_device[n]!,
    action_id: lists.action_id[n]!,
    suppressed: lists.suppressed[n]!,
    signatures: lists.signatures[n]!,
    auth_version: lists.auth_version[n]!,
    updated: lists.updated[n]!,
  };
}

function relationsOfJson(json: string): EventRelation[] {
  const relations = JSON.parse(json) as { type: string; event_id: string; key?: string }[];
  return relations.map(({ type, event_id, key }) => ({ type, eventId: event_id, key: key ?? null }));
}
