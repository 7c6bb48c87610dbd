import type { StoredEvent } from "../model/event.ts";
import type { Place } from "../model/order.ts";
import type { Span } from "../model/room.ts";
import { query, type Connection } from "./database.ts";
import type { Selection } from "../model/selection.ts";
import { movesBetween, replayedMoves } from "./markers.ts";
import { isClosed } from "./roomDeletion.ts";
import { Parameters, selectionCondition } from "./selection.ts";
import { appendedColumns, eventColumns, eventList, eventOfRow, eventsOfJson, type EventRow } from "./rows.ts";

/** Beyond every position: the end of a span that has none. */
const endless = Number.MAX_SAFE_INTEGER;

/** Events by id, in no particular order; unknown ids are left out. */
export async function eventsById(connection: Connection, eventIds: readonly string[]): Promise<StoredEvent[]> {
  const rows = await query<EventRow>(
    connection,
    `SELECT ${eventColumns} FROM event WHERE event.event_id = ANY ($1::text[])`,
    eventIds,
  );
  return rows.map(eventOfRow);
}

/** The events at these stream positions, in no particular order. */
export async function eventsAt(connection: Connection, positions: readonly number[]): Promise<StoredEvent[]> {
  if (positions.length === 0) return [];
  const rows = await query<EventRow>(
    connection,
    `SELECT ${eventColumns} FROM event WHERE event.position = ANY ($1::bigint[])`,
    positions,
  );
  return rows.map(eventOfRow);
}

/**
 * Everything after one stream position up to another, in stream order, moves of markers included; updates of it may
 * follow at any time. Moves that were moved on since are left out. [EVS-5]
 */
export async function eventsBetween(
  connection: Connection,
  after: number,
  to: number,
  limit: number,
): Promise<StoredEvent[]> {
  const [[found], moves] = await Promise.all([
    query<{ events: string }>(
      connection,
      `SELECT ${eventList("page", "page.position")} AS events FROM (
         SELECT ${appendedColumns} FROM event WHERE event.position > $1::bigint AND event.position <= $2::bigint
         ORDER BY event.position LIMIT $3::integer
       ) AS page`,
      after,
      to,
      limit,
    ),
    movesBetween(connection, after, to, limit),
  ]);
  return inStreamOrder([...eventsOfJson(found!.events), ...moves]).slice(0, limit);
}

/** Newest visible event of each room: `messagesOnly` for the last message, else for the last activity. */
export async function newestEvents(
  connection: Connection,
  requests: readonly { roomId: string; spans: readonly Span[] }[],
  head: number,
  messagesOnly: boolean,
): Promise<Map<string, StoredEvent>> {
  const spans = requests.flatMap(({ roomId, spans }) => spans.map((span) => ({ roomId, ...span })));
  const rows = await query<EventRow>(
    connection,
    `SELECT DISTINCT ON (page.room_id) page.*
     FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS span(room_id, first, last)
     CROSS JOIN LATERAL (
       SELECT ${eventColumns} FROM event
       WHERE event.room_id = span.room_id AND (event.major, event.minor) >= (span.first, ''::bytea)
         AND (event.major, event.minor) <= (span.last, ''::bytea) AND event.position <= $4::bigint
         ${messagesOnly ? "AND event.state_key IS NULL AND event.updates_id IS NULL AND event.type <> 'm.room.redaction'" : ""}
       ORDER BY event.major DESC, event.minor DESC LIMIT 1
     ) AS page
     ORDER BY page.room_id, page.major DESC, page.minor DESC`,
    spans.map((span) => span.roomId),
    spans.map((span) => span.from),
    spans.map((span) => span.to ?? endless),
    head,
  );
  return new Map(rows.map((row) => [row.room_id, eventOfRow(row)]));
}

/** The next place in a room that an event stands at. */
export async function nextPlace(connection: Connection, roomId: string, place: Place): Promise<Place | null> {
  const [row] = await query<Place>(
    connection,
    `SELECT major::float8 AS major, encode(minor, 'hex') AS minor FROM event
     WHERE room_id = $1 AND (major, minor) > ($2::bigint, decode($3, 'hex')) ORDER BY event.major, event.minor LIMIT 1`,
    roomId,
    place.major,
    place.minor,
  );
  return row ?? null;
}

/** The event straight before a place in a room, if any. */
export async function previousEventId(connection: Connection, roomId: string, place: Place): Promise<string | null> {
  const [row] = await query<{ event_id: string }>(
    connection,
    `SELECT event_id FROM event WHERE room_id = $1 AND (major, minor) < ($2::bigint, decode($3, 'hex'))
     ORDER BY major DESC, minor DESC LIMIT 1`,
    roomId,
    place.major,
    place.minor,
  );
  return row?.event_id ?? null;
}

function inStreamOrder(events: StoredEvent[]): StoredEvent[] {
  return events.sort((a, b) => a.position - b.position);
}

export interface ReplayRequest {
  userId: string;
  /** Null: all rooms. */
  rooms: readonly string[] | null;
  after: number;
  to: number;
  selection: Selection;
  /** Also insertions into the past. [EVS-6] */
  outOfOrder: boolean;
  /** Also moves of markers. [ACT-11] */
  markers: boolean;
  limit: number;
}

/** Events that a replay looks at for each that it may give, before it gives up. */
const lookedAtPerEvent = 50;

/**
 * What a user's stream would have carried between two positions: the events of rooms while they were joined, each
 * end of a membership included, and their own invites and knocks, as far as the filter lets them through; own joins in
 * any case, since something is derived from them. One index probe per membership. [EVS-1, EVS-9, STR-3]
 * Not complete when there are more than `limit`, or when far more would have to be looked at. [EVS-2]
 */
export async function replayedEvents(
  connection: Connection,
  request: ReplayRequest,
): Promise<{ events: StoredEvent[]; complete: boolean }> {
  const parameters = new Parameters();
  const user = parameters.add(request.userId, "text");
  const rooms = parameters.add(request.rooms, "text[]");
  const after = parameters.add(request.after, "bigint");
  const to = parameters.add(request.to, "bigint");
  const lookedAt = lookedAtPerEvent * (Math.trunc(request.limit) + 1);
  const condition = selectionCondition(request.selection, parameters, { alone: false });
  const moves = request.markers
    ? await replayedMoves(connection, { ...request, limit: 2 * (Math.trunc(request.limit) + 1) })
    : [];
  const rows = await query<(EventRow | { event_id: null }) & { looked_at: number }>(
    connection,
    `WITH period AS MATERIALIZED (
       SELECT room_id, from_position, least(coalesce(to_position, ${to}), ${to}) AS to_position, membership, previous,
         coalesce(effective, membership) = 'join' AND NOT ${isClosed("membership_period")} AS joined
       FROM membership_period
       WHERE user_id = ${user} AND (to_position IS NULL OR to_position > ${after}) AND from_position <= ${to}
         AND (${rooms} IS NULL OR room_id = ANY (${rooms}))
     ), looked_at AS MATERIALIZED (
       SELECT live.position FROM period CROSS JOIN LATERAL (
         SELECT event.position FROM event
         WHERE event.room_id = period.room_id AND event.minor = ''::bytea
           AND (event.major, event.minor) >= (greatest(${after} + 1, period.from_position), ''::bytea)
           AND (event.major, event.minor) <= (period.to_position, ''::bytea)
         ORDER BY event.major, event.minor LIMIT ${lookedAt}
       ) AS live
       WHERE period.joined
       ${request.outOfOrder ? insertedWhileJoined(after) : ""}
       LIMIT ${lookedAt}
     ), visible AS (
       SELECT position FROM looked_at
       UNION
       SELECT from_position FROM period
       WHERE from_position > ${after} AND (membership IN ('join', 'invite', 'knock') OR previous IN ('join', 'invite', 'knock'))
     )
     SELECT counted.looked_at, found.* FROM (SELECT count(*)::integer AS looked_at FROM looked_at) AS counted
     LEFT JOIN LATERAL (
       SELECT ${eventColumns} FROM visible JOIN event ON event.position = visible.position
       WHERE ${condition === "" ? "true" : `((${condition}) OR (event.type = 'm.room.member' AND event.state_key = ${user}))`}
       ORDER BY event.position LIMIT ${2 * (Math.trunc(request.limit) + 1)}
     ) AS found ON true ORDER BY found.position`,
    ...parameters.values,
  );
  const found = rows.filter((row): row is EventRow & { looked_at: number } => row.event_id !== null);
  const events = inStreamOrder([...found.map(eventOfRow), ...moves]);
  // Twice the limit, since some of what is found may be unwanted for reasons that only the stream knows.
  const complete = events.length <= 2 * request.limit && rows[0]!.looked_at < lookedAt;
  return { events, complete };
}

function insertedWhileJoined(after: string): string {
  return `UNION ALL
       SELECT event.position FROM period JOIN event ON event.room_id = period.room_id
         AND event.inserted_after_id IS NOT NULL AND event.position > ${after}
         AND event.position >= period.from_position AND event.position <= period.to_position
       WHERE period.joined`;
}
