import type { StoredEvent } from "../model/event.ts";
import { markerKinds, markerType } from "../model/marker.ts";
import { exactTexts, passes } from "../model/patterns.ts";
import type { Selection } from "../model/selection.ts";
import { query, type Connection } from "./database.ts";
import { markersAsState, markersOfJson } from "./markers.ts";
import { eventList, eventsOfJson, listedColumns } from "./rows.ts";
import { Parameters, patternsCondition } from "./selection.ts";
import { holderWith } from "./state.ts";

export interface RoomStateRequest {
  rooms: readonly {
    roomId: string;
    /** Stream position at which the state is read. */
    at: number;
    /** Null: the whole state. Else the slots that changed after this position, deleted ones included. [SYN-2] */
    since: number | null;
    /** Markers are read as they stand now, if they were set up to this position. [ACT-11] */
    markersUntil: number;
  }[];
  selection: Selection;
  /** Who sees the markers in the state; null leaves them out. [ACT-11] */
  viewer: string | null;
  after: { type: string; stateKey: string } | null;
  limit: number;
}

/** A room's state as it came from the store, read into events only when somebody looks. */
export interface RoomState {
  more: boolean;
  events(): StoredEvent[];
}

/** A page of the state of each of these rooms, by type and state key, through a filter; at most two statements. [SYN-7] */
export async function roomStates(connection: Connection, request: RoomStateRequest): Promise<RoomState[]> {
  const states: RoomState[] = request.rooms.map(() => ({ more: false, events: () => [] }));
  const numbered = request.rooms.map((room, n) => ({ ...room, n }));
  for (const rooms of [
    numbered.filter((room) => room.since === null),
    numbered.filter((room) => room.since !== null),
  ]) {
    if (rooms.length === 0) continue;
    for (const { n, count, events, markers } of await readStates(connection, rooms, request)) {
      states[n] = {
        more: count > request.limit,
        events: () => inOrder(eventsOfJson(events), markersOfJson(markers)).slice(0, request.limit),
      };
    }
  }
  return states;
}

/** Markers among the other state, both sorted already: all types of markers begin alike, and no other type so. */
function inOrder(events: StoredEvent[], markers: StoredEvent[]): StoredEvent[] {
  if (markers.length === 0) return events;
  const type = Buffer.from(markers[0]!.type);
  const behind = events.findIndex((event) => Buffer.compare(Buffer.from(event.type), type) > 0);
  const at = behind < 0 ? events.length : behind;
  return [...events.slice(0, at), ...markers, ...events.slice(at)];
}

interface FoundState {
  n: number;
  count: number;
  events: string;
  markers: string;
}

function readStates(
  connection: Connection,
  rooms: readonly (RoomStateRequest["rooms"][number] & { n: number })[],
  { selection, viewer, after, limit }: RoomStateRequest,
  { counted = false } = {},
): Promise<FoundState[]> {
  const whole = rooms[0]?.since === null;
  const parameters = new Parameters();
  const unnested = [
    parameters.add(
      rooms.map(({ n }) => n),
      "integer[]",
    ),
    parameters.add(
      rooms.map(({ roomId }) => roomId),
      "text[]",
    ),
    parameters.add(
      rooms.map(({ at }) => at),
      "bigint[]",
    ),
    parameters.add(
      rooms.map(({ since }) => since ?? 0),
      "bigint[]",
    ),
    parameters.add(
      rooms.map(({ markersUntil }) => markersUntil),
      "bigint[]",
    ),
  ].join(", ");
  const behind =
    after === null ? null : `(${parameters.add(after.type, "text")}, ${parameters.add(after.stateKey, "text")})`;
  const slots = allOf([
    typeCondition(selection, parameters),
    behind === null ? "" : `(slot.type, slot.state_key) > ${behind}`,
  ]);
  const senders = allOf([patternsCondition("held.sender", selection.senders, parameters)]);
  const k = Math.trunc(limit) + 1;
  const kinds = viewer === null ? [] : markerKinds.filter((kind) => passes(selection.types.STATE, markerType(kind)));
  return query<FoundState>(
    connection,
    `SELECT room.n, state.count + markers.count AS count, state.events, markers.markers
     FROM unnest(${unnested}) AS room(n, room_id, at, since, markers_until)
     CROSS JOIN LATERAL (
       SELECT count(*)::integer AS count, ${counted ? "''" : eventList("held")} AS events
       FROM (
         SELECT held.* FROM (${whole ? wholeSlots : changedSlots} ${slots} ORDER BY slot.type, slot.state_key) AS slot
         CROSS JOIN LATERAL (${holderWith(listedColumns)}) AS held
         WHERE ${whole ? "held.content IS NOT NULL" : "(held.position > room.since OR held.redacted_by_id IS NOT NULL)"} ${senders}
         ORDER BY slot.type, slot.state_key LIMIT ${k}
       ) AS held
     ) AS state
     CROSS JOIN LATERAL (${kinds.length === 0 ? "SELECT 0 AS count, '[]' AS markers" : markersListed()}) AS markers
     WHERE state.count + markers.count > 0`,
    ...parameters.values,
  );

  function markersListed(): string {
    const conditions = allOf([
      // No bound, by which the markers would be looked up kind by kind, out of their order.
      `array_position(${parameters.add(kinds, "text[]")}, marker.kind) IS NOT NULL`,
      patternsCondition("marker.user_id", selection.senders, parameters),
      behind === null ? "" : `('m.room.marker.' || marker.kind, marker.user_id) > ${behind}`,
    ]);
    const listed = "coalesce(json_agg(row_to_json(marker) ORDER BY marker.kind, marker.user_id)::text, '[]')";
    return `SELECT count(*)::integer AS count, ${counted ? "''" : listed} AS markers
      FROM (${markersAsState({ viewer: parameters.add(viewer, "text"), changed: !whole, limit: k }, conditions)}) AS marker`;
  }
}

/** Further conditions of a WHERE. */
function allOf(conditions: readonly string[]): string {
  return conditions.map((condition) => (condition === "" ? "" : `AND ${condition}`)).join(" ");
}

/** How many events `roomStates` would give of one room without a limit. */
export async function countRoomStates(
  connection: Connection,
  { room, ...asked }: Pick<RoomStateRequest, "selection" | "viewer"> & { room: RoomStateRequest["rooms"][number] },
): Promise<number> {
  const request = { ...asked, rooms: [room], after: null, limit: Number.MAX_SAFE_INTEGER };
  const [row] = await readStates(connection, [{ ...room, n: 0 }], request, { counted: true });
  return row?.count ?? 0;
}

const wholeSlots = `SELECT slot.room_id, slot.type, slot.state_key, room.at FROM current_state AS slot
  WHERE slot.room_id = room.room_id`;

/** What was set or deleted since, and what holds a slot but was redacted since: the client's copy is out of date. [ACT-14] */
const changedSlots = `SELECT slot.room_id, slot.type, slot.state_key, room.at FROM (
    SELECT changed.* FROM (
      SELECT changed.room_id, changed.type, changed.state_key FROM current_state AS changed
      WHERE changed.room_id = room.room_id AND (changed.room_id, changed.position) > (room.room_id, room.since)
      ORDER BY changed.room_id, changed.position OFFSET 0
    ) AS changed
    UNION
    SELECT target.room_id, target.type, target.state_key
    FROM event AS redaction JOIN event AS target ON target.event_id = redaction.redacts_id
    WHERE redaction.room_id = room.room_id AND redaction.position > room.since AND redaction.position <= room.at
      AND redaction.redacts_id IS NOT NULL AND target.state_key IS NOT NULL
  ) AS slot WHERE true`;

function typeCondition({ types }: Selection, parameters: Parameters): string {
  const exact = exactTexts(types.STATE);
  // An array of names is looked up in the index; patterns are compared with each of the room's slots.
  if (exact === null) return patternsCondition("slot.type", types.STATE, parameters);
  const excluded = patternsCondition("slot.type", { included: null, excluded: types.STATE.excluded }, parameters);
  return [`slot.type = ANY (${parameters.add(exact, "text[]")})`, excluded].filter((part) => part !== "").join(" AND ");
}
