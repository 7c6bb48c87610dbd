import type { Membership } from "../model/content/typed.ts";
import type { StoredEvent } from "../model/event.ts";
import { profileType } from "../model/profile.ts";
import { query, type Connection } from "./database.ts";
import { eventColumns, eventOfRow, type EventRow } from "./rows.ts";

/** Beyond every position: the present. */
export const endless = Number.MAX_SAFE_INTEGER;

/** A state slot of a room at a stream position. */
export interface SlotAt {
  roomId: string;
  type: string;
  stateKey: string;
  at: number;
}

/** SQL of the event that holds a slot at a place: the index on slots gives it by one probe. */
export function holderWith(columns: string): string {
  return `SELECT ${columns} FROM event
    WHERE event.room_id = slot.room_id AND event.type = slot.type AND event.state_key = slot.state_key
      AND event.in_force AND event.major <= slot.at
    ORDER BY event.major DESC, event.minor DESC LIMIT 1`;
}

const holder = holderWith(eventColumns);

/** The events that hold these slots, without those that are empty or deleted; one statement. */
export async function stateInSlots(connection: Connection, slots: readonly SlotAt[]): Promise<StoredEvent[]> {
  const rows = await query<EventRow>(
    connection,
    `SELECT held.* FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS slot(room_id, type, state_key, at)
     CROSS JOIN LATERAL (${holder}) AS held WHERE held.content IS NOT NULL`,
    slots.map((slot) => slot.roomId),
    slots.map((slot) => slot.type),
    slots.map((slot) => slot.stateKey),
    slots.map((slot) => slot.at),
  );
  return rows.map(eventOfRow);
}

export interface MemberRow {
  roomId: string;
  userId: string;
  membership: Membership;
  eventId: string;
}

/**
 * Members as rows (room_id, user_id, membership, event_id): of the present, or of a position that an ex-member knows. In
 * each form `$4` is the position.
 */
function membersAt(until: number | null): string {
  if (until === null) return "SELECT room_id, user_id, membership, event_id FROM member WHERE room_id = $1";
  return `SELECT slot.room_id, slot.state_key AS user_id, held.content::jsonb ->> 'membership' AS membership, held.event_id
    FROM (SELECT room_id, type, state_key, $4::bigint AS at FROM current_state
          WHERE room_id = $1 AND type = 'm.room.member') AS slot
    CROSS JOIN LATERAL (${holder}) AS held WHERE held.content IS NOT NULL`;
}

export interface MembersRequest {
  roomId: string;
  /** Stream position at which members are read; null is the present. */
  until: number | null;
  memberships: readonly Membership[];
  /** Part of the user id or display name; null: all. */
  search: string | null;
}

/** The name that a room shows of a member at the position at which members are read, else the global one. [PRO-3] */
const displayName = `(coalesce(
    (SELECT held.content::jsonb
     FROM (SELECT members.room_id, '${profileType}' AS type, members.user_id AS state_key, $4::bigint AS at) AS slot
     CROSS JOIN LATERAL (${holder}) AS held WHERE held.content IS NOT NULL),
    (SELECT jsonb_build_object('displayname', value::jsonb) FROM profile
     WHERE profile.user_id = members.user_id AND key = 'displayname')) ->> 'displayname')`;

const matching = `members.membership = ANY ($2::text[]) AND ($3::text IS NULL
    OR strpos(lower(members.user_id), lower($3)) > 0 OR strpos(lower(${displayName}), lower($3)) > 0)`;

function matchingValues({ roomId, memberships, search, until }: MembersRequest): unknown[] {
  return [roomId, memberships, search, until ?? endless];
}

/** Up to `limit` members by user id, after one. */
export async function memberPage(
  connection: Connection,
  request: MembersRequest & { after: string | null; limit: number },
): Promise<MemberRow[]> {
  const rows = await query<{ room_id: string; user_id: string; membership: Membership; event_id: string }>(
    connection,
    `SELECT * FROM (${membersAt(request.until)}) AS members WHERE ${matching} AND members.user_id > $5
     ORDER BY members.room_id, members.user_id LIMIT $6::integer`,
    ...matchingValues(request),
    request.after ?? "",
    request.limit,
  );
  return rows.map((row) => ({
    roomId: row.room_id,
    userId: row.user_id,
    membership: row.membership,
    eventId: row.event_id,
  }));
}

export async function countMembers(connection: Connection, request: MembersRequest): Promise<number> {
  const [row] = await query<{ count: number }>(
    connection,
    `SELECT count(*)::integer AS count FROM (${membersAt(request.until)}) AS members WHERE ${matching}`,
    ...matchingValues(request),
  );
  return row!.count;
}

/** Present members of rooms by name, where they have any membership; one statement. */
export async function membersByName(
  connection: Connection,
  names: readonly { roomId: string; userId: string }[],
): Promise<MemberRow[]> {
  const rows = await query<{ room_id: string; user_id: string; membership: Membership; event_id: string }>(
    connection,
    `SELECT member.room_id, member.user_id, member.membership, member.event_id
     FROM unnest($1::text[], $2::text[]) AS name(room_id, user_id)
     JOIN member ON member.room_id = name.room_id AND member.user_id = name.user_id`,
    names.map((name) => name.roomId),
    names.map((name) => name.userId),
  );
  return rows.map((row) => ({
    roomId: row.room_id,
    userId: row.user_id,
    membership: row.membership,
    eventId: row.event_id,
  }));
}

/** How many members of a membership each room has now; one statement. */
export async function memberCounts(
  connection: Connection,
  roomIds: readonly string[],
): Promise<Map<string, Map<Membership, number>>> {
  const rows = await query<{ room_id: string; membership: Membership; count: number }>(
    connection,
    `SELECT room_id, membership, count(*)::integer AS count FROM member
     WHERE room_id = ANY ($1::text[]) GROUP BY room_id, membership`,
    roomIds,
  );
  const counts = new Map<string, Map<Membership, number>>();
  for (const row of rows) {
    const ofRoom = counts.get(row.room_id) ?? new Map<Membership, number>();
    ofRoom.set(row.membership, row.count);
    counts.set(row.room_id, ofRoom);
  }
  return counts;
}
