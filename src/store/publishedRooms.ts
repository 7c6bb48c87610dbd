import type { JoinRule, Membership } from "../model/content/typed.ts";
import type { PublishedRoomShape } from "../model/publishedRoom.ts";
import { query, type Connection } from "./database.ts";

/** Publishes a room or takes it back. False when the room changed since that version of it, or isn't there any more. */
export async function setPublished(
  connection: Connection,
  { roomId, published, version }: { roomId: string; published: boolean; version: number },
): Promise<boolean> {
  const [row] = await query<{ done: boolean }>(
    connection,
    "SELECT set_published($1, $2::boolean, $3::bigint) AS done",
    roomId,
    published,
    version,
  );
  return row!.done;
}

export async function isPublished(connection: Connection, roomId: string): Promise<boolean> {
  const room = await connection.room.findUnique({ where: { roomId }, select: { published: true, deletedAt: true } });
  return room !== null && room.published && room.deletedAt === null;
}

/** What to take a snapshot of, and for whom. */
export interface SnapshotRequest {
  /** Its id, unless there is a snapshot already. */
  id: string;
  search: string;
  userId: string;
  now: Date;
  expiresAt: Date;
  /** Number of the span of time in which searches share a snapshot. */
  slot: number;
}

/** Takes a snapshot of what a search finds, or joins one; see `take_published_snapshot` in the migrations. Gives its id. */
export async function takeSnapshot(connection: Connection, request: SnapshotRequest): Promise<string> {
  const [row] = await query<{ id: string }>(
    connection,
    "SELECT take_published_snapshot($1, $2, $3::bigint, $4, $5::timestamptz, $6::timestamptz) AS id",
    request.id,
    request.search,
    request.slot,
    request.userId,
    request.now,
    request.expiresAt,
  );
  return row!.id;
}

/** A part of a snapshot, as one user sees it. */
export interface SnapshotPage {
  /** How many rooms the snapshot lists. */
  total: number;
  /** Whether the snapshot is of the search that was named with it. */
  same: boolean;
  /** Rooms that are still published, with their place in the snapshot, from 1. */
  rooms: { place: number; room: PublishedRoomShape }[];
}

/**
 * Up to `limit` rooms of a snapshot after a place, as they are now; null when there is no such snapshot any more. `search`
 * is compared with the snapshot's; null: any.
 */
export async function snapshotPage(
  connection: Connection,
  page: { id: string; search: string | null; after: number; limit: number; userId: string; now: Date },
): Promise<SnapshotPage | null> {
  const rows = await query<{
    total: number;
    same: boolean;
    place: number | null;
    room_id: string;
    name: string | null;
    topic: string | null;
    avatar: string | null;
    aliases: string[];
    members: number;
    membership: Membership | null;
  }>(
    connection,
    `SELECT snapshot.total, snapshot.same, listed.place::integer AS place, room.room_id, room.name, room.topic, room.avatar,
       room.aliases, room.members, room.membership
     FROM (
       SELECT total, room_ids[$2::integer + 1 : $2::integer + $3::integer] AS ids,
         $6::text IS NULL OR search = left(directory_text($6), 255) AS same
       FROM published_snapshot WHERE id = $1 AND expires_at > $5::timestamptz
     ) AS snapshot
     LEFT JOIN LATERAL unnest(snapshot.ids) WITH ORDINALITY AS listed(id, place) ON true
     LEFT JOIN LATERAL (
       SELECT shown.*, rank.members, viewer.membership
       FROM (SELECT * FROM published_room WHERE published_room.id = listed.id LIMIT 1) AS shown
       CROSS JOIN LATERAL (SELECT * FROM published_rank WHERE published_rank.id = shown.id LIMIT 1) AS rank
       LEFT JOIN LATERAL (
         SELECT membership FROM member WHERE room_id = shown.room_id AND user_id = $4 LIMIT 1
       ) AS viewer ON true
     ) AS room ON true`,
    page.id,
    page.after,
    page.limit,
    page.userId,
    page.now,
    page.search,
  );
  const [first] = rows;
  if (first === undefined) return null;
  const rooms = rows.flatMap(({ place, room_id, name, topic, avatar, aliases, members, membership }) => {
    // Of a room that isn't published any more there is only its place.
    if (place === null || room_id === null) return [];
    const room = { roomId: room_id, name, topic, avatar, aliases, members, viewerMembership: membership };
    return [{ place: page.after + place, room }];
  });
  return { total: first.total, same: first.same, rooms: rooms.sort((one, other) => one.place - other.place) };
}

/** How open rooms are to who isn't in them. */
export interface Openness {
  joinRule: JoinRule;
  worldReadable: boolean;
}

/** Of rooms, by id; one statement. */
export async function opennessOf(connection: Connection, roomIds: readonly string[]): Promise<Map<string, Openness>> {
  const told = (type: string, key: string): string => `(
    SELECT event.content::jsonb ->> '${key}' FROM current_state JOIN event USING (event_id)
    WHERE current_state.room_id = asked.room_id AND current_state.type = '${type}' AND current_state.state_key = '_'
      AND NOT current_state.deleted LIMIT 1)`;
  const rows = await query<{ roomId: string; joinRule: JoinRule | null; visibility: string | null }>(
    connection,
    `SELECT asked.room_id AS "roomId", ${told("m.room.join_rules", "join_rule")} AS "joinRule",
       ${told("m.room.history_visibility", "history_visibility")} AS visibility
     FROM unnest($1::text[]) AS asked(room_id)`,
    roomIds,
  );
  return new Map(
    rows.map(({ roomId, joinRule, visibility }) => [
      roomId,
      { joinRule: joinRule ?? "invite", worldReadable: visibility === "world_readable" },
    ]),
  );
}
