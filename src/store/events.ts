import type { StoredEvent } from "../model/event.ts";
import { comparePlaces, justAfter, type Place } from "../model/order.ts";
import type { Page, Span } from "../model/room.ts";
import { query, type Connection } from "./database.ts";
import { eventColumns, eventOfRow, type EventRow } from "./rows.ts";

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

/** Everything after one stream position up to another, in stream order. */
export async function eventsBetween(
  connection: Connection,
  after: number,
  to: number,
  limit: number,
): Promise<StoredEvent[]> {
  const rows = await query<EventRow>(
    connection,
    `SELECT ${eventColumns} FROM event WHERE event.position > $1::bigint AND event.position <= $2::bigint
     ORDER BY event.position LIMIT $3::integer`,
    after,
    to,
    limit,
  );
  return rows.map(eventOfRow);
}

export interface PageRequest {
  roomId: string;
  /** What the reader may see. */
  spans: readonly Span[];
  /** Nothing beyond this stream position. */
  head: number;
  direction: "before" | "after";
  /** Exclusive; null is the end that the direction starts from. */
  from: Place | null;
  limit: number;
}

/**
 * Up to `limit` visible events of a room next to a place, oldest first. Each span is probed by the index on the room's
 * order, so that the cost depends on neither the size of the room nor on how much of it is hidden. [SCR-1, SCR-3, EV-9]
 */
export async function eventPage(connection: Connection, request: PageRequest): Promise<Page<StoredEvent>> {
  const backwards = request.direction === "before";
  const order = backwards ? "DESC" : "ASC";
  const bounds = request.spans.map((span) => boundsOf(span, request));
  const rows = await query<EventRow>(
    connection,
    `SELECT page.* FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::text[]) AS span(low, low_minor, high, high_minor)
     CROSS JOIN LATERAL (
       SELECT ${eventColumns} FROM event
       WHERE event.room_id = $1 AND (event.major, event.minor) >= (span.low, decode(span.low_minor, 'hex'))
         AND (event.major, event.minor) < (span.high, decode(span.high_minor, 'hex'))
         AND event.position <= $6::bigint
       ORDER BY event.major ${order}, event.minor ${order} LIMIT $7::integer
     ) AS page
     ORDER BY page.major ${order}, page.minor ${order} LIMIT $7::integer`,
    request.roomId,
    bounds.map(({ low }) => low.major),
    bounds.map(({ low }) => low.minor),
    bounds.map(({ high }) => high.major),
    bounds.map(({ high }) => high.minor),
    request.head,
    request.limit + 1,
  );
  const items = rows.slice(0, request.limit).map(eventOfRow);
  const more = rows.length > request.limit;
  if (backwards) items.reverse();
  return {
    items,
    hasPrevious: backwards ? more : request.from !== null,
    hasNext: backwards ? request.from !== null : more,
  };
}

/**
 * A span cut at the place that the page starts from: one lower and one upper bound. With two of a kind PostgreSQL would
 * begin at the span's end and walk to the place, through half a million events if need be.
 */
function boundsOf(span: Span, { direction, from }: PageRequest): { low: Place; high: Place } {
  const low = { major: span.from, minor: "" };
  const high = justAfter({ major: span.to ?? endless, minor: "" });
  if (from === null) return { low, high };
  if (direction === "before") return { low, high: comparePlaces(from, high) < 0 ? from : high };
  const next = justAfter(from);
  return { low: comparePlaces(next, low) > 0 ? next : low, high };
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
         ${messagesOnly ? "AND event.state_key IS NULL AND event.type <> 'm.room.redaction'" : ""}
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

/** The place of the event straight before each of these, if any. */
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

export interface ReplayRequest {
  userId: string;
  /** Null: all rooms. */
  rooms: readonly string[] | null;
  after: number;
  to: number;
  limit: number;
}

/**
 * What a user's stream would have carried between two positions: the events of rooms while they were joined, each
 * end of a membership included, and their own invites and knocks. One index probe per membership. [EVS-1, STR-3]
 * Out-of-order insertions are left out. [EVS-6]
 */
export async function replayedEvents(connection: Connection, request: ReplayRequest): Promise<StoredEvent[]> {
  const rows = await query<EventRow>(
    connection,
    `WITH period AS (
       SELECT room_id, from_position, coalesce(to_position, $4::bigint) AS to_position, membership, previous
       FROM membership_period
       WHERE user_id = $1 AND (to_position IS NULL OR to_position > $3::bigint) AND from_position <= $4::bigint
         AND ($2::text[] IS NULL OR room_id = ANY ($2::text[]))
     ), visible AS (
       SELECT live.position FROM period CROSS JOIN LATERAL (
         SELECT event.position FROM event
         WHERE event.room_id = period.room_id AND event.major > $3::bigint
           AND event.major >= period.from_position AND event.major <= least(period.to_position, $4::bigint)
           AND event.minor = ''::bytea
         ORDER BY event.major LIMIT $5::integer
       ) AS live
       WHERE period.membership = 'join'
       UNION
       SELECT from_position FROM period
       WHERE from_position > $3::bigint AND (membership IN ('join', 'invite', 'knock') OR previous IN ('join', 'invite', 'knock'))
       ORDER BY 1 LIMIT $5::integer
     )
     SELECT ${eventColumns} FROM visible JOIN event ON event.position = visible.position ORDER BY event.position`,
    request.userId,
    request.rooms,
    request.after,
    request.to,
    request.limit,
  );
  return rows.map(eventOfRow);
}
