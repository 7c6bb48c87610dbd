import type { StoredEvent } from "../model/event.ts";
import { groupBy } from "../model/groupBy.ts";
import type { Place } from "../model/order.ts";
import { exactTexts } from "../model/patterns.ts";
import type { Span } from "../model/room.ts";
import type { Selection } from "../model/selection.ts";
import { query, type Connection } from "./database.ts";
import { eventColumns, eventOfRow, eventsOfJson, type EventRow } from "./rows.ts";
import { Parameters, patternsCondition, selectionCondition } from "./selection.ts";
import { holder } from "./state.ts";

export interface RoomStateRequest {
  rooms: readonly {
    roomId: string;
    /** Stream position at which the state is read. */
    at: number;
    /** Null: the whole state. Else the slots that changed after this position, deleted ones included. [SYN-2] */
    since: number | null;
  }[];
  selection: Selection;
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
    for (const { n, count, events } of await readStates(connection, rooms, request)) {
      states[n] = { more: count > request.limit, events: () => eventsOfJson(events).slice(0, request.limit) };
    }
  }
  return states;
}

interface FoundState {
  n: number;
  count: number;
  events: string;
}

function readStates(
  connection: Connection,
  rooms: readonly { n: number; roomId: string; at: number; since: number | null }[],
  { selection, after, limit }: RoomStateRequest,
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
  ].join(", ");
  const conditions = [
    typeCondition(selection, parameters),
    after === null
      ? ""
      : `(slot.type, slot.state_key) > (${parameters.add(after.type, "text")}, ${parameters.add(after.stateKey, "text")})`,
  ].filter((condition) => condition !== "");
  const where = conditions.map((condition) => `AND ${condition}`).join(" ");
  const senders = patternsCondition("held.sender", selection.senders, parameters);
  return query<FoundState>(
    connection,
    `SELECT room.n, count(*)::integer AS count,
       ${counted ? "''" : 'json_agg(row_to_json(held) ORDER BY held.type COLLATE "C", held.state_key COLLATE "C")::text'} AS events
     FROM unnest(${unnested}) AS room(n, room_id, at, since)
     CROSS JOIN LATERAL (
       SELECT held.* FROM (${whole ? wholeSlots : changedSlots} ${where} ORDER BY slot.type, slot.state_key) AS slot
       CROSS JOIN LATERAL (${holder}) AS held
       WHERE ${whole ? "held.content IS NOT NULL" : "(held.position > room.since OR held.redacted_by_id IS NOT NULL)"}
         ${senders === "" ? "" : `AND ${senders}`}
       ORDER BY held.type, held.state_key LIMIT ${Math.trunc(limit) + 1}
     ) AS held
     GROUP BY room.n`,
    ...parameters.values,
  );
}

/** How many events `roomStates` would give of one room without a limit. */
export async function countRoomStates(
  connection: Connection,
  { room, selection }: { room: RoomStateRequest["rooms"][number]; selection: Selection },
): Promise<number> {
  const request = { rooms: [room], selection, after: null, limit: Number.MAX_SAFE_INTEGER };
  const [row] = await readStates(connection, [{ ...room, n: 0 }], request, { counted: true });
  return row?.count ?? 0;
}

const wholeSlots = `SELECT slot.room_id, slot.type, slot.state_key, room.at FROM current_state AS slot
  WHERE slot.room_id = room.room_id`;

/** What was set or deleted since, and what holds a slot but was redacted since: the client's copy is out of date. [ACT-14] */
const changedSlots = `SELECT slot.room_id, slot.type, slot.state_key, room.at FROM (
    SELECT changed.room_id, changed.type, changed.state_key FROM current_state AS changed
    WHERE changed.room_id = room.room_id AND changed.position > room.since
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

/** SQL of the parents that the filter bundles `event` into; null where it bundles no relations. [REL-3] */
function bundledParents({ hidesRelations }: Selection, parameters: Parameters): string | null {
  if (hidesRelations === null) return null;
  const matching = patternsCondition("relation ->> 'type'", hidesRelations, parameters);
  return `SELECT relation ->> 'event_id' FROM jsonb_array_elements(event.relates_to::jsonb) AS relation
    WHERE event.relates_to IS NOT NULL ${matching === "" ? "" : `AND ${matching}`}`;
}

export interface ChangesRequest {
  rooms: readonly {
    roomId: string;
    /** What the reader may see: of the events, and of what updates them. */
    spans: readonly Span[];
    /** Changes after this position up to `to`, of events up to it. */
    since: number;
    to: number;
  }[];
  selection: Selection;
  /** Places at or before this one are left out. */
  after: Place | null;
  limit: number;
}

/**
 * Events from before a position that were updated or redacted after it, in the rooms' order: up to `limit` + 1 for each.
 * Where the filter bundles, the event that a changed or a new one is bundled in stands for it. [SYN-11, REL-3]
 */
export async function changedEvents(connection: Connection, request: ChangesRequest): Promise<StoredEvent[][]> {
  const { rooms, selection, after, limit } = request;
  const parameters = new Parameters();
  const unnested = [
    parameters.add(
      rooms.map((_room, n) => n),
      "integer[]",
    ),
    parameters.add(
      rooms.map(({ roomId }) => roomId),
      "text[]",
    ),
    parameters.add(
      rooms.map(({ since }) => since),
      "bigint[]",
    ),
    parameters.add(
      rooms.map(({ to }) => to),
      "bigint[]",
    ),
  ].join(", ");
  const spans = rooms.flatMap(({ spans }, n) => spans.map((span) => ({ n, ...span })));
  const unnestedSpans = [
    parameters.add(
      spans.map(({ n }) => n),
      "integer[]",
    ),
    parameters.add(
      spans.map(({ from }) => from),
      "bigint[]",
    ),
    parameters.add(
      spans.map(({ to }) => to ?? Number.MAX_SAFE_INTEGER),
      "bigint[]",
    ),
  ].join(", ");
  const visibleIn = (n: string): string => `EXISTS (
    SELECT FROM span WHERE span.n = ${n} AND event.major >= span.low AND (event.major, event.minor) <= (span.high, ''::bytea))`;
  const condition = selectionCondition(selection, parameters, { alone: true });
  const bundled = bundledParents(selection, parameters);
  const place = after === null ? null : [parameters.add(after.major, "bigint"), parameters.add(after.minor, "text")];
  const k = Math.trunc(limit) + 1;
  const rows = await query<EventRow & { n: number }>(
    connection,
    `WITH RECURSIVE room AS MATERIALIZED (
       SELECT * FROM unnest(${unnested}) AS room(n, room_id, since, until)
     ), span AS MATERIALIZED (
       SELECT * FROM unnest(${unnestedSpans}) AS span(n, low, high)
     ), line AS (
       SELECT room.n, room.since, change.target_id FROM room CROSS JOIN LATERAL (
         SELECT parent.event_id AS target_id FROM event
         CROSS JOIN LATERAL (
           SELECT coalesce(event.redacts_id, event.updates_id) AS event_id
           ${bundled === null ? "" : `UNION ALL ${bundled}`}
         ) AS parent
         WHERE event.room_id = room.room_id AND event.position > room.since AND event.position <= room.until
           AND (event.updates_id IS NOT NULL OR event.redacts_id IS NOT NULL OR event.relates_to IS NOT NULL)
           AND parent.event_id IS NOT NULL
           -- A redaction shows on what it redacts, wherever it stands itself.
           AND (event.redacts_id IS NOT NULL OR ${visibleIn("room.n")})
       ) AS change
       UNION
       SELECT line.n, line.since, parent.event_id FROM line JOIN event ON event.event_id = line.target_id
       CROSS JOIN LATERAL (
         SELECT event.updates_id AS event_id WHERE event.updates_id IS NOT NULL
         ${bundled === null ? "" : `UNION ALL ${bundled}`}
       ) AS parent
       WHERE ${visibleIn("line.n")}
     ), changed AS (
       SELECT line.n, event.position, row_number() OVER (PARTITION BY line.n ORDER BY event.major, event.minor) AS rank
       FROM line JOIN event ON event.event_id = line.target_id
       WHERE event.position <= line.since AND ${visibleIn("line.n")} ${condition === "" ? "" : `AND ${condition}`}
         ${place === null ? "" : `AND (event.major, event.minor) > (${place[0]}, decode(${place[1]}, 'hex'))`}
     )
     SELECT changed.n, found.* FROM changed
     CROSS JOIN LATERAL (SELECT ${eventColumns} FROM event WHERE event.position = changed.position LIMIT 1) AS found
     WHERE changed.rank <= ${k} ORDER BY changed.n, changed.rank`,
    ...parameters.values,
  );
  const found = groupBy(rows, (row) => row.n);
  return rooms.map((_room, n) => (found.get(n) ?? []).map(eventOfRow));
}
