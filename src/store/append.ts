import type { Call } from "../model/call.ts";
import type { EventDraft, MarkerReach } from "../model/event.ts";
import { relationsJson } from "../model/event.ts";
import type { MarkerMove } from "../model/marker.ts";
import { query, type Connection } from "./database.ts";

/** An event that is ready to be stored but for its position. */
export interface PlacedDraft extends EventDraft {
  eventId: string;
  sentAt: number;
  /** Who acted, where it isn't the sender. */
  actor?: string;
  device: string | null;
  actionId?: string;
  suppressed: boolean;
  authVersion: number | null;
}

/** The events of one action, which stand or fall together. */
export interface BatchUnit {
  roomId: string;
  /** The auth version that the unit was authorised on; null for a new room. */
  version: number | null;
  /** The auth version that the unit brings about; null when it moves none. */
  nextVersion: number | null;
  newRoom: {
    creator: string;
    createdAt: number;
    published: boolean;
    /** The application services that have the room's id in their namespaces. [AS-5] */
    services?: readonly string[];
  } | null;
  action: {
    userId: string;
    deviceId: string;
    actionId: string;
    requestHash: string;
    /** Events of a batch that have an action id of their own. */
    parts?: { actionId: string; eventId: string }[];
  } | null;
  /** The events that answer the action: its own, or the older ones that made it unnecessary. */
  answerIds: string[];
  events: PlacedDraft[];
  /** Markers to move forward. [ACT-11] */
  markers?: MarkerMove[];
  /** Events that lose their force. [EVS-7] */
  rejects?: string[];
  /** Calls that the events are part of: the unit is stale when one isn't any more as it was read. [VOIP-2] */
  calls?: CallMove[];
  /** State slots that the unit was planned on: it is stale when one holds something else by then. */
  slots?: HeldSlot[];
  /** Aliases of the room that come or go with its events. [ALI-2] */
  aliases?: AliasChange[];
  /** The version of the registrations of application services that it was planned on, where they matter to it. */
  registry?: number;
}

/** What a slot held when it was read: the id of an event that isn't redacted, or null. */
export interface HeldSlot {
  type: string;
  stateKey: string;
  holder: string | null;
}

/** An alias to add in somebody's name, with the application services that have it in their namespaces; or to remove. */
export type AliasChange =
  { alias: string; creator: string; services: readonly string[] } | { alias: string; creator: null };

/** What a unit makes of a call. */
export interface CallMove {
  callId: string;
  /** The revision that was read; null for a call that is placed. */
  revision: number | null;
  /** What it becomes; null when it stays as it is. */
  next: Call | null;
  /** For a call that is placed: the calls from the other side that are known. [VOIP-7] */
  opposing?: string[];
}

export interface UnitVerdict {
  outcome: "appended" | "repeated" | "stale";
  /** For repeated units: the first outcome. */
  eventIds: string[] | null;
  requestHash: string | null;
}

export interface BatchResult {
  /** The stream position before and after the batch; equal when nothing was appended. */
  previous: number;
  to: number;
  units: UnitVerdict[];
  /** By the number of the event in the batch; null when its unit wasn't appended. */
  positions: (number | null)[];
  /** By the number of the event in the batch: the event whose state slot it took. */
  replaces: Record<number, string>;
  /** By the number of the marker in the batch; those that didn't move are left out. */
  moves: Record<number, { position: number; reach: MarkerReach }>;
}

/** Appends units in one statement and one transaction, under the append lock. See `append_batch` in the migrations. */
export async function appendBatch(connection: Connection, processId: string, units: BatchUnit[]): Promise<BatchResult> {
  const [row] = await query<{ result: RawResult }>(
    connection,
    "SELECT append_batch($1::jsonb) AS result",
    batchJson(processId, units),
  );
  const { units: verdicts, ...result } = row!.result;
  return {
    ...result,
    units: verdicts.map(({ outcome, event_ids, request_hash }) => ({
      outcome,
      eventIds: event_ids,
      requestHash: request_hash,
    })),
  };
}

/** Takes the append lock for the rest of the transaction. */
export async function lockAppending(connection: Connection): Promise<void> {
  await query(connection, "SELECT append_lock()::text");
}

/** The newest position at which anything is stored; everything up to it is visible to later statements. */
export async function streamHead(connection: Connection): Promise<number> {
  const [row] = await query<{ head: number }>(connection, "SELECT stream_head()::float8 AS head");
  return row!.head;
}

/** What was done under an action id, if anything was. [ACT-2] */
export async function findAction(
  connection: Connection,
  action: { userId: string; deviceId: string; actionId: string },
): Promise<{ requestHash: string; eventIds: string[] } | null> {
  const [row] = await query<{ request_hash: string; event_ids: string[] }>(
    connection,
    "SELECT request_hash, event_ids FROM action WHERE user_id = $1 AND device_id = $2 AND action_id = $3",
    action.userId,
    action.deviceId,
    action.actionId,
  );
  return row ? { requestHash: row.request_hash, eventIds: row.event_ids } : null;
}

/** Remembers an action that makes no events, in the caller's transaction; false when its id was used meanwhile. [ACT-2] */
export async function recordAction(
  connection: Connection,
  action: { userId: string; deviceId: string; actionId: string; requestHash: string },
): Promise<boolean> {
  const { count } = await connection.action.createMany({ data: { ...action, eventIds: [] }, skipDuplicates: true });
  return count === 1;
}

interface RawResult {
  previous: number;
  to: number;
  units: { n: number; outcome: UnitVerdict["outcome"]; event_ids: string[] | null; request_hash: string | null }[];
  positions: (number | null)[];
  replaces: Record<number, string>;
  moves: BatchResult["moves"];
}

function batchJson(processId: string, units: BatchUnit[]): string {
  const events: unknown[] = [];
  const relations: unknown[] = [];
  const markers: unknown[] = [];
  const rejections: unknown[] = [];
  const calls: unknown[] = [];
  const slots: unknown[] = [];
  const aliases: unknown[] = [];
  const unitRows = units.map((unit, number) => {
    for (const event of unit.events) {
      for (const { type, eventId, key } of event.relatesTo ?? []) {
        relations.push({ event: events.length, parent: eventId, type, key });
      }
      events.push(eventJson(event, events.length, number, unit.roomId));
    }
    for (const marker of unit.markers ?? []) markers.push(markerJson(marker, markers.length, number, unit.roomId));
    for (const event of unit.rejects ?? []) rejections.push({ unit: number, event });
    for (const move of unit.calls ?? []) calls.push(callJson(move, number));
    for (const { type, stateKey, holder } of unit.slots ?? []) {
      slots.push({ unit: number, room: unit.roomId, type, state_key: stateKey, holder });
    }
    for (const change of unit.aliases ?? []) aliases.push({ unit: number, room: unit.roomId, ...change });
    return {
      n: number,
      room: unit.roomId,
      version: unit.version,
      next: unit.nextVersion,
      user_id: unit.action?.userId,
      device_id: unit.action?.deviceId,
      action_id: unit.action?.actionId,
      request_hash: unit.action?.requestHash,
      parts: unit.action?.parts?.map(({ actionId, eventId }) => ({ action_id: actionId, event_id: eventId })),
      answer_ids: unit.answerIds,
      creator: unit.newRoom?.creator,
      created_at: unit.newRoom?.createdAt,
      published: unit.newRoom?.published,
      services: unit.newRoom?.services,
      registry: unit.registry,
    };
  });
  const drafts = units.flatMap((unit) => unit.events);
  return JSON.stringify({
    process: processId,
    rooms: units.some((unit) => unit.newRoom !== null),
    state: drafts.some((draft) => draft.stateKey !== undefined),
    messages: drafts.some((draft) => draft.stateKey === undefined),
    updates: calls.length > 0 || drafts.some((draft) => draft.updatesId !== undefined),
    redactions: drafts.some((draft) => draft.redactsId !== undefined),
    actions: units.some((unit) => unit.action !== null),
    units: unitRows,
    events,
    relations,
    markers,
    rejections,
    calls: calls.length > 0 ? calls : undefined,
    slots: slots.length > 0 ? slots : undefined,
    aliases: aliases.length > 0 ? aliases : undefined,
    registry: units.some((unit) => unit.registry !== undefined) ? true : undefined,
  });
}

function callJson({ callId, revision, next, opposing }: CallMove, unit: number): unknown {
  const moved = next && {
    room: next.roomId,
    caller: next.caller,
    caller_device: next.callerDevice,
    callee: next.callee,
    state: next.state,
    parties: JSON.stringify(next.parties),
    accepted_user: next.acceptedBy?.userId,
    accepted_device: next.acceptedBy?.deviceId,
    created_at: next.createdAt,
    expires_at: next.expiresAt,
    ended_reason: next.endedReason,
  };
  return { unit, call: callId, revision, opposing, ...moved };
}

function markerJson(marker: MarkerMove, number: number, unit: number, roomId: string): unknown {
  return {
    n: number,
    unit,
    room: roomId,
    user_id: marker.userId,
    kind: marker.kind,
    private: marker.private,
    event: marker.markedId,
    major: marker.place.major,
    minor: marker.place.minor,
    id: marker.moveId,
    set_at: marker.setAt,
    device: marker.device,
    action: marker.actionId,
    suppressed: marker.suppressed,
  };
}

function eventJson(event: PlacedDraft, number: number, unit: number, roomId: string): unknown {
  return {
    n: number,
    unit,
    id: event.eventId,
    room: roomId,
    major: event.inserted?.place.major,
    minor: event.inserted?.place.minor,
    type: event.type,
    state_key: event.stateKey,
    sender: event.sender,
    sent_at: event.sentAt,
    content: event.content,
    in_force: event.inserted === undefined ? undefined : false,
    updates: event.updatesId,
    relates_to: event.relatesTo?.length ? JSON.stringify(relationsJson(event.relatesTo)) : undefined,
    redacts: event.redactsId,
    restores: event.restoresId,
    inserted_after: event.inserted?.afterId,
    actor: event.actor,
    device: event.device,
    action: event.actionId,
    suppressed: event.suppressed,
    signatures: event.signatures,
    auth_version: event.authVersion,
  };
}
