import { moveEvent, type Marker, type MarkerKind } from "../model/marker.ts";
import type { MarkerReach, StoredEvent } from "../model/event.ts";
import type { RoomView } from "../model/room.ts";
import { isFound, query, type Connection } from "./database.ts";
import { isClosed } from "./roomDeletion.ts";

/** A marker with the event that the stream carries for its latest move. */
export interface PlacedMarker extends Marker {
  event: StoredEvent;
}

interface MarkerRow {
  room_id: string;
  user_id: string;
  kind: MarkerKind;
  private: boolean;
  marked_id: string;
  major: number;
  minor: string;
  position: number;
  set_at: number;
  action_device: string | null;
  action_id: string | null;
  move_id: string;
  suppressed: boolean;
  reach: MarkerReach;
}

/** Columns of `marker` as `MarkerRow` names them; whom it reaches follows from whether its user has a private one. */
const markerColumns = `marker.room_id, marker.user_id, marker.kind, marker.private, marker.event_id AS marked_id,
  marker.major::float8 AS major, encode(marker.minor, 'hex') AS minor, marker.position::float8 AS position,
  (extract(epoch FROM marker.set_at) * 1000)::float8 AS set_at, marker.action_device, marker.action_id, marker.move_id,
  marker.suppressed,
  CASE WHEN marker.private THEN 'own' WHEN ${isFound(
    `FROM marker AS further WHERE further.room_id = marker.room_id AND further.user_id = marker.user_id
      AND further.kind = marker.kind AND further.private`,
  )} THEN 'others' ELSE 'all' END AS reach`;

function markerOfRow(row: MarkerRow): PlacedMarker {
  const marker = {
    roomId: row.room_id,
    userId: row.user_id,
    kind: row.kind,
    private: row.private,
    markedId: row.marked_id,
    place: { major: row.major, minor: row.minor },
    setAt: Math.round(row.set_at),
  };
  const { move_id: moveId, action_device: device, action_id: actionId, suppressed, position, reach } = row;
  return { ...marker, event: moveEvent({ ...marker, moveId, device, actionId, suppressed, position, reach }) };
}

/** The SQL condition that a viewer sees a `marker`: their own furthest one, and everybody else's public one. [ACT-11] */
export function seenBy(viewer: string): string {
  const ownPrivate = isFound(
    `FROM marker AS own WHERE own.room_id = marker.room_id AND own.user_id = marker.user_id
      AND own.kind = marker.kind AND own.private`,
  );
  return `(marker.private = (marker.user_id = ${viewer} AND ${ownPrivate}))`;
}

/** The markers of these users as a viewer sees them, in their order; null where there is none. One statement. */
export async function markersOfUsers(
  connection: Connection,
  viewer: string,
  wanted: readonly { roomId: string; userId: string; kind: MarkerKind }[],
): Promise<(PlacedMarker | null)[]> {
  const rows = await query<MarkerRow & { n: number }>(
    connection,
    `SELECT wanted.n::integer AS n, ${markerColumns}
     FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS wanted(room_id, user_id, kind, n)
     JOIN marker ON marker.room_id = wanted.room_id AND marker.user_id = wanted.user_id AND marker.kind = wanted.kind
     WHERE ${seenBy("$4")}`,
    wanted.map(({ roomId }) => roomId),
    wanted.map(({ userId }) => userId),
    wanted.map(({ kind }) => kind),
    viewer,
  );
  const found = new Map(rows.map((row) => [row.n, markerOfRow(row)]));
  return wanted.map((_wanted, index) => found.get(index + 1) ?? null);
}

/** The markers whose latest moves have these event ids, as far as a viewer sees them. */
export async function markersByMove(
  connection: Connection,
  viewer: string,
  moveIds: readonly string[],
): Promise<PlacedMarker[]> {
  const rows = await query<MarkerRow>(
    connection,
    `SELECT ${markerColumns} FROM marker WHERE marker.move_id = ANY ($1::text[]) AND ${seenBy("$2")}`,
    moveIds,
    viewer,
  );
  return rows.map(markerOfRow);
}

/** Everybody's moves after one stream position up to another, in order, as far as they weren't moved on since. */
export async function movesBetween(
  connection: Connection,
  after: number,
  to: number,
  limit: number,
): Promise<StoredEvent[]> {
  const rows = await query<MarkerRow>(
    connection,
    `SELECT ${markerColumns} FROM marker WHERE marker.position > $1::bigint AND marker.position <= $2::bigint
     ORDER BY marker.position LIMIT $3::integer`,
    after,
    to,
    limit,
  );
  return rows.map((row) => markerOfRow(row).event);
}

/**
 * The moves that a user's stream would have carried between two positions: in rooms while they were joined. [STR-3]
 * One index probe per membership.
 */
export async function replayedMoves(
  connection: Connection,
  request: { userId: string; rooms: readonly string[] | null; after: number; to: number; limit: number },
): Promise<StoredEvent[]> {
  const rows = await query<MarkerRow>(
    connection,
    `SELECT found.* FROM membership_period AS period
     CROSS JOIN LATERAL (
       SELECT ${markerColumns} FROM marker
       WHERE marker.room_id = period.room_id AND marker.position > greatest($3::bigint, period.from_position)
         AND marker.position <= least($4::bigint, coalesce(period.to_position, $4::bigint)) AND ${seenBy("$1")}
       ORDER BY marker.position LIMIT $5::integer
     ) AS found
     WHERE period.user_id = $1 AND coalesce(period.effective, period.membership) = 'join'
       AND (period.to_position IS NULL OR period.to_position > $3::bigint) AND period.from_position <= $4::bigint
       AND NOT ${isClosed("period")}
       AND ($2::text[] IS NULL OR period.room_id = ANY ($2::text[]))
     ORDER BY found.position LIMIT $5::integer`,
    request.userId,
    request.rooms,
    request.after,
    request.to,
    request.limit,
  );
  return rows.map((row) => markerOfRow(row).event);
}

/** A page of a room's markers as a viewer sees them, by kind and user. */
export async function markerPage(
  connection: Connection,
  request: {
    viewer: string;
    roomId: string;
    /** Only what was set up to this stream position. */
    until: number;
    kinds: readonly MarkerKind[];
    after: { kind: string; userId: string } | null;
    limit: number;
  },
): Promise<PlacedMarker[]> {
  const rows = await query<MarkerRow>(
    connection,
    `SELECT ${markerColumns} FROM marker
     WHERE marker.room_id = $1 AND marker.position <= $2::bigint AND marker.kind = ANY ($3::text[])
       AND (marker.kind, marker.user_id) > ($4, $5) AND ${seenBy("$6")}
     ORDER BY marker.kind, marker.user_id LIMIT $7::integer`,
    request.roomId,
    request.until,
    request.kinds,
    request.after?.kind ?? "",
    request.after?.userId ?? "",
    request.viewer,
    request.limit,
  );
  return rows.map(markerOfRow);
}

export async function countMarkers(
  connection: Connection,
  request: { viewer: string; roomId: string; until: number; kinds: readonly MarkerKind[] },
): Promise<number> {
  const [row] = await query<{ count: number }>(
    connection,
    `SELECT count(*)::integer AS count FROM marker
     WHERE marker.room_id = $1 AND marker.position <= $2::bigint AND marker.kind = ANY ($3::text[]) AND ${seenBy("$4")}`,
    request.roomId,
    request.until,
    request.kinds,
    request.viewer,
  );
  return row!.count;
}

/**
 * SQL of up to `limit` of a room's markers as the state of the room holds them for a viewer: of `room` (room_id, since,
 * markers_until), in order, with further conditions. Those that moved since are found by position, all of them in their
 * order. `markersOfJson` reads them. [ACT-11]
 */
export function markersAsState(
  { viewer, changed, limit }: { viewer: string; changed: boolean; limit: number },
  conditions: string,
): string {
  const moved = `SELECT * FROM marker WHERE marker.room_id = room.room_id
      AND (marker.room_id, marker.position) > (room.room_id, room.since) ORDER BY marker.room_id, marker.position OFFSET 0`;
  // A sum is no bound, by which the whole of them would be looked up by position, and sorted for a page.
  return `SELECT ${markerColumns} FROM ${changed ? `(${moved}) AS marker` : "marker"}
    WHERE marker.room_id = room.room_id AND marker.position + 0 <= room.markers_until
      AND ${seenBy(viewer)} ${conditions}
    ORDER BY marker.room_id, marker.kind, marker.user_id LIMIT ${limit}`;
}

/** Markers of JSON that PostgreSQL made of such rows, as state events in their order. */
export function markersOfJson(json: string): StoredEvent[] {
  return (JSON.parse(json) as MarkerRow[]).map((row) => markerOfRow(row).event);
}

/** How many unread messages a room has for a user, and how many of them mention the user. [ACT-11] */
export interface Unread {
  count: number;
  highlight: number;
}

/** Events that are looked at for one count, the newest first: no badge shows more. */
const unreadLookedAt = 2_000;

/**
 * Messages by others behind the user's furthest read marker, or behind their join where there is none; without redacted
 * ones, and what belongs to other messages: updates, redactions, reactions. One statement for all rooms. [ACT-11]
 */
export async function countUnread(
  connection: Connection,
  userId: string,
  views: readonly RoomView[],
): Promise<Unread[]> {
  const spans = views.flatMap(({ roomId, spans, membership }, n) =>
    membership === "join" ? spans.map((span) => ({ n, roomId, ...span })) : [],
  );
  const rows = await query<{ n: number; count: number; highlight: number }>(
    connection,
    `SELECT span.n, count(*)::integer AS count, (count(*) FILTER (WHERE unread.mentions))::integer AS highlight
     FROM unnest($1::integer[], $2::text[], $3::bigint[], $4::bigint[]) AS span(n, room_id, low, high)
     CROSS JOIN LATERAL (
       SELECT member.position FROM member WHERE member.room_id = span.room_id AND member.user_id = $5 LIMIT 1
     ) AS member
     LEFT JOIN LATERAL (
       SELECT marker.major, marker.minor FROM marker
       WHERE marker.room_id = span.room_id AND marker.user_id = $5 AND marker.kind = 'read'
       ORDER BY marker.major DESC, marker.minor DESC LIMIT 1
     ) AS read ON true
     CROSS JOIN LATERAL (
       SELECT strpos(event.content, '"m.mentions"') > 0 AND strpos(event.content, $5) > 0
         AND coalesce(jsonb_typeof(event.content::jsonb #> '{m.mentions,user_ids}') = 'array'
           AND event.content::jsonb #> '{m.mentions,user_ids}' ? $5, false) AS mentions
       FROM (
         SELECT * FROM event
         WHERE event.room_id = span.room_id AND (event.major, event.minor) >= (span.low, ''::bytea)
           AND (event.major, event.minor) <= (span.high, ''::bytea)
           AND (event.major, event.minor) > (coalesce(read.major, member.position), coalesce(read.minor, ''::bytea))
         ORDER BY event.major DESC, event.minor DESC LIMIT ${unreadLookedAt}
       ) AS event
       WHERE event.state_key IS NULL AND event.sender <> $5 AND event.redacted_by_id IS NULL AND event.updates_id IS NULL
         AND event.type <> 'm.room.redaction'
         AND (event.relates_to IS NULL OR strpos(event.relates_to, '"type":"m.annotation"') = 0)
     ) AS unread
     GROUP BY span.n`,
    spans.map(({ n }) => n),
    spans.map(({ roomId }) => roomId),
    spans.map(({ from }) => from),
    spans.map(({ to }) => to ?? Number.MAX_SAFE_INTEGER),
    userId,
  );
  const found = new Map(rows.map(({ n, count, highlight }) => [n, { count, highlight }]));
  return views.map((_view, n) => found.get(n) ?? { count: 0, highlight: 0 });
}
