import type { HistoryVisibility, JoinRule, Membership } from "../model/content/typed.ts";
import type { RoomRules } from "../model/room.ts";
import { isFound, query, type Connection } from "./database.ts";
import { seenBy } from "./markers.ts";
import { isClosed } from "./roomDeletion.ts";

export interface MembershipPeriod {
  from: number;
  to: number | null;
  membership: Membership;
  previous: Membership | null;
  /** What counts for visibility, where the event that began the period was rejected. [EVS-7] */
  effective: Membership | null;
}

export interface VisibilityPeriod {
  from: number;
  to: number | null;
  visibility: HistoryVisibility;
}

/** A room with all that decides what one user may see of it. */
export interface RoomHistory {
  creator: string;
  createdAt: Date;
  published: boolean;
  memberships: MembershipPeriod[];
  visibilities: VisibilityPeriod[];
}

/**
 * SQL of all that decides what a user may see of a room, as one text for `historyOfText`; null where there is no such room.
 * The same text gives the same access, so that it shows whether what was read before still holds. [EV-9]
 */
export function historyText(room: string, user: string): string {
  return `(SELECT json_build_array(room.creator, (extract(epoch FROM room.created_at) * 1000)::float8, room.published,
      (SELECT json_agg(json_build_object('from', from_position, 'to', to_position, 'membership', membership,
         'previous', previous, 'effective', effective) ORDER BY from_position)
       FROM membership_period AS period WHERE period.room_id = room.room_id AND period.user_id = ${user}),
      (SELECT json_agg(json_build_object('from', from_position, 'to', to_position,
         'visibility', coalesce(effective, visibility)) ORDER BY from_position)
       FROM visibility_period AS period WHERE period.room_id = room.room_id))::text
    FROM room WHERE room.room_id = ${room} AND room.deleted_at IS NULL)`;
}

/** What such a text says of a room. */
export function historyOfText(text: string): RoomHistory {
  const [creator, createdAt, published, memberships, visibilities] = JSON.parse(text) as [
    string,
    number,
    boolean,
    MembershipPeriod[] | null,
    VisibilityPeriod[] | null,
  ];
  return {
    ...{ creator, createdAt: new Date(Math.round(createdAt)), published },
    ...{ memberships: memberships ?? [], visibilities: visibilities ?? [] },
  };
}

/** For rooms that exist, what decides what this user may see of them, as `historyOfText` reads it; one statement. [EV-9] */
export async function roomHistories(
  connection: Connection,
  userId: string,
  roomIds: readonly string[],
): Promise<Map<string, string>> {
  const rows = await query<{ room_id: string; history: string | null }>(
    connection,
    `SELECT asked.room_id, ${historyText("asked.room_id", "$1")} AS history FROM unnest($2::text[]) AS asked(room_id)`,
    userId,
    roomIds,
  );
  return new Map(rows.flatMap(({ room_id, history }) => (history === null ? [] : [[room_id, history]])));
}

/** What authorisation reads of a room, with the memberships of the users named, all of one moment. Null: no such room. */
export async function roomRules(
  connection: Connection,
  roomId: string,
  userIds: readonly string[],
): Promise<{ rules: RoomRules; memberships: Map<string, Membership> } | null> {
  const [row] = await query<{
    version: number;
    creator: string;
    state: Record<string, string> | null;
    memberships: Record<string, Membership> | null;
  }>(
    connection,
    `SELECT room.auth_version::float8 AS version, room.creator,
       (SELECT json_object_agg(current_state.type, event.content)
        FROM current_state JOIN event ON event.event_id = current_state.event_id
        WHERE current_state.room_id = room.room_id AND current_state.state_key = '_' AND NOT current_state.deleted
          AND current_state.type IN ('m.room.power_levels', 'm.room.join_rules', 'm.room.history_visibility')) AS state,
       (SELECT json_object_agg(user_id, membership) FROM member
        WHERE member.room_id = room.room_id AND user_id = ANY ($2::text[])) AS memberships
     FROM room WHERE room.room_id = $1 AND room.deleted_at IS NULL`,
    roomId,
    userIds,
  );
  if (!row) return null;
  const content = (type: string): Record<string, unknown> | null =>
    row.state?.[type] === undefined ? null : (JSON.parse(row.state[type]) as Record<string, unknown>);
  const rules: RoomRules = {
    roomId,
    version: row.version,
    creator: row.creator,
    powerContent: content("m.room.power_levels"),
    joinRule: (content("m.room.join_rules")?.["join_rule"] as JoinRule | undefined) ?? "invite",
    visibility:
      (content("m.room.history_visibility")?.["history_visibility"] as HistoryVisibility | undefined) ?? "shared",
  };
  return { rules, memberships: new Map(Object.entries(row.memberships ?? {})) };
}

/** Memberships of users in one room, with the room's auth version of the same moment. */
export async function membershipsOf(
  connection: Connection,
  roomId: string,
  userIds: readonly string[],
): Promise<{ version: number; memberships: Map<string, Membership> } | null> {
  const [row] = await query<{ version: number; memberships: Record<string, Membership> | null }>(
    connection,
    `SELECT auth_version::float8 AS version,
       (SELECT json_object_agg(user_id, membership) FROM member
        WHERE member.room_id = room.room_id AND user_id = ANY ($2::text[])) AS memberships
     FROM room WHERE room_id = $1 AND deleted_at IS NULL`,
    roomId,
    userIds,
  );
  return row ? { version: row.version, memberships: new Map(Object.entries(row.memberships ?? {})) } : null;
}

/** The rooms that a user was joined to, invited to or knocking at, at a stream position. */
export async function roomsOfUserAt(
  connection: Connection,
  userId: string,
  position: number,
): Promise<{ roomId: string; membership: Membership }[]> {
  const rows = await query<{ room_id: string; membership: Membership }>(
    connection,
    `SELECT room_id, membership FROM membership_period
     WHERE user_id = $1 AND membership IN ('join', 'invite', 'knock')
       AND from_position <= $2::bigint AND (to_position IS NULL OR to_position > $2::bigint)`,
    userId,
    position,
  );
  return rows.map((row) => ({ roomId: row.room_id, membership: row.membership }));
}

/** The rooms that these users are joined to now; one statement. */
export async function joinedRooms(connection: Connection, userIds: readonly string[]): Promise<Map<string, string[]>> {
  const rows = await query<{ userId: string; rooms: string[] }>(
    connection,
    `SELECT wanted.user_id AS "userId", ARRAY(SELECT room_id FROM member
       WHERE member.user_id = wanted.user_id AND member.membership = 'join') AS rooms
     FROM unnest($1::text[]) AS wanted(user_id)`,
    userIds,
  );
  return new Map(rows.map(({ userId, rooms }) => [userId, rooms]));
}

/** Who of these users is joined to a room that the viewer is joined to; one statement. [PRE-4] */
export async function sharingUsers(
  connection: Connection,
  viewerId: string,
  userIds: readonly string[],
): Promise<string[]> {
  const rows = await query<{ userId: string }>(
    connection,
    `SELECT DISTINCT other.user_id AS "userId" FROM member AS own
     CROSS JOIN LATERAL (
       SELECT member.user_id FROM member
       WHERE member.room_id = own.room_id AND member.membership = 'join' AND member.user_id = ANY ($2::text[])
     ) AS other
     WHERE own.user_id = $1 AND own.membership = 'join'`,
    viewerId,
    userIds,
  );
  return rows.map(({ userId }) => userId);
}

export interface RoomAt {
  roomId: string;
  membership: Membership;
  /** Position of the event that made it so. */
  from: number;
  /** The membership at the earlier position, if there is one. */
  before: Membership | null;
  /** Where the last join before the present membership ended; null if there was none. */
  joinEnded: number | null;
  /** For joined rooms, the position of the newest event. */
  activity: number;
  /** Whether markers that the user sees were moved since the earlier position. [ACT-11] */
  markersMoved: boolean;
}

/** The condition that a period covers a position; a user has one period of a room at a time. */
function holds(position: string): string {
  return `from_position <= ${position}::bigint AND (to_position IS NULL OR to_position > ${position}::bigint)`;
}

/**
 * Rooms in which a user had a membership at a stream position, with what it was at an earlier one (null: no such); one
 * index probe per room. Where it is known in which rooms anything happened since then, those alone are looked at, and
 * invites. [SYN-2, SYN-5, SYN-6]
 */
export async function roomsOfUserSince(
  connection: Connection,
  userId: string,
  request: { position: number; since: number | null; changed: readonly string[] | null },
): Promise<RoomAt[]> {
  const rows = await query<{
    room_id: string;
    membership: Membership;
    from_position: number;
    before: Membership | null;
    join_ended: number | null;
    activity: number | null;
    markers_moved: boolean;
  }>(
    connection,
    `SELECT room.room_id, room.membership, room.from_position::float8 AS from_position, room.before,
       room.join_ended::float8 AS join_ended, newest.major::float8 AS activity,
       $3::bigint IS NOT NULL AND room.membership = 'join' AND ${isFound(
         `FROM marker WHERE marker.room_id = room.room_id
           AND (marker.room_id, marker.position) > (room.room_id, $3::bigint)
           AND (marker.room_id, marker.position) <= (room.room_id, $2::bigint) AND ${seenBy("$1")}
         ORDER BY marker.room_id, marker.position`,
       )} AS markers_moved
     FROM (
       SELECT room_id, max(membership) FILTER (WHERE ${holds("$2")}) AS membership,
         max(from_position) FILTER (WHERE ${holds("$2")}) AS from_position,
         max(membership) FILTER (WHERE ${holds("$3")}) AS before,
         max(to_position) FILTER (WHERE membership = 'join' AND to_position <= $2::bigint) AS join_ended
       FROM membership_period WHERE user_id = $1 GROUP BY room_id
     ) AS room
     LEFT JOIN LATERAL (
       SELECT event.major FROM event
       WHERE event.room_id = room.room_id AND (event.major, event.minor) < ($2::bigint + 1, ''::bytea)
       ORDER BY event.major DESC, event.minor DESC LIMIT 1
     ) AS newest ON room.membership = 'join'
     WHERE room.membership IS NOT NULL
       AND ($4::text[] IS NULL OR room.membership = 'invite' OR room.room_id = ANY ($4::text[]))
       AND NOT (room.membership IN ('join', 'invite', 'knock') AND ${isClosed("room")})`,
    userId,
    request.position,
    request.since,
    request.changed,
  );
  return rows.map((row) => ({
    roomId: row.room_id,
    membership: row.membership,
    from: row.from_position,
    before: row.before,
    joinEnded: row.join_ended,
    activity: row.activity ?? row.from_position,
    markersMoved: row.markers_moved,
  }));
}

/** A user's rooms by membership, the latest change first. */
export async function roomsOfUser(
  connection: Connection,
  request: { userId: string; memberships: readonly Membership[]; after: { position: number } | null; limit: number },
): Promise<{ roomId: string; position: number; eventId: string }[]> {
  const rows = await query<{ room_id: string; position: number; event_id: string }>(
    connection,
    `SELECT room_id, position::float8 AS position, event_id FROM member
     WHERE user_id = $1 AND membership = ANY ($2::text[]) AND ($3::bigint IS NULL OR position < $3::bigint)
       AND NOT ${isClosed("member")}
     ORDER BY position DESC LIMIT $4::integer`,
    request.userId,
    request.memberships,
    request.after?.position ?? null,
    request.limit,
  );
  return rows.map((row) => ({ roomId: row.room_id, position: row.position, eventId: row.event_id }));
}

export async function countRoomsOfUser(
  connection: Connection,
  userId: string,
  memberships: readonly Membership[],
): Promise<number> {
  const [row] = await query<{ count: number }>(
    connection,
    `SELECT count(*)::integer AS count FROM member
     WHERE user_id = $1 AND membership = ANY ($2::text[]) AND NOT ${isClosed("member")}`,
    userId,
    memberships,
  );
  return row!.count;
}

/** The membership event that holds for a user. */
export async function membershipEventId(
  connection: Connection,
  roomId: string,
  userId: string,
): Promise<string | null> {
  const where = { roomId_userId: { roomId, userId } };
  return (await connection.member.findUnique({ where, select: { eventId: true } }))?.eventId ?? null;
}

/**
 * The room that an invite leads to: any invite of this user since their last other membership will do, since several
 * users may have invited them. [ACT-4, JOI-1] Null for invites of others, used or taken back ones.
 */
export async function roomOfInvite(connection: Connection, userId: string, eventId: string): Promise<string | null> {
  const [row] = await query<{ room_id: string }>(
    connection,
    `SELECT event.room_id FROM event
     JOIN member ON member.room_id = event.room_id AND member.user_id = $2 AND member.membership = 'invite'
     JOIN membership_period AS period ON period.user_id = $2 AND period.room_id = event.room_id
       AND period.from_position = event.position AND period.membership = 'invite'
     WHERE event.event_id = $1 AND NOT EXISTS (
       SELECT FROM membership_period AS other WHERE other.user_id = $2 AND other.room_id = event.room_id
         AND other.from_position > event.position AND other.membership <> 'invite')`,
    eventId,
    userId,
  );
  return row?.room_id ?? null;
}
