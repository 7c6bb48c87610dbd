import type { Connection } from "../../model/connection.ts";
import type { Membership } from "../../model/content/typed.ts";
import { checkLimit } from "../../model/paging.ts";
import type { MemberShape, RoomView } from "../../model/room.ts";
import * as store from "../../store/state.ts";
import type { Reading } from "./reading.ts";
import { stateInSlots } from "./state.ts";

/** Members of rooms by name, in their order, null for users without a membership; at most two statements. */
export async function membersByName(
  reading: Reading,
  names: readonly { room: RoomView; userId: string }[],
): Promise<(MemberShape | null)[]> {
  const present = names.filter(({ room }) => room.until === null);
  const rows = await store.membersByName(
    reading.connection,
    present.map(({ room, userId }) => ({ roomId: room.roomId, userId })),
  );
  const byName = new Map(rows.map((row) => [`${row.roomId} ${row.userId}`, row]));
  const past = names.filter(({ room }) => room.until !== null);
  const slots = past.map(({ room, userId }) => ({
    roomId: room.roomId,
    until: room.until,
    type: "m.room.member",
    stateKey: userId,
  }));
  const pastEvents = past.length === 0 ? [] : await stateInSlots(reading, slots);
  return names.map(({ room, userId }) => {
    if (room.until === null) {
      const row = byName.get(`${room.roomId} ${userId}`);
      return row ? { room, userId, membership: row.membership, eventId: row.eventId } : null;
    }
    const event = pastEvents[past.findIndex((each) => each.room === room && each.userId === userId)];
    const content = event?.content ? (JSON.parse(event.content) as { membership?: Membership }) : {};
    return event && content.membership
      ? { room, userId, membership: content.membership, eventId: event.eventId }
      : null;
  });
}

/** A page of a room's members, by user id. */
export async function memberConnection(
  { connection, tokens }: Reading,
  room: RoomView,
  args: { membership: Membership[]; search?: string | null; first: number; after?: string | null },
): Promise<Connection<MemberShape>> {
  const limit = checkLimit(args.first, "first");
  const after = typeof args.after === "string" ? String(tokens.readChunk(args.after, "members", room.roomId)[0]) : null;
  const request = {
    roomId: room.roomId,
    until: room.until,
    memberships: args.membership,
    search: args.search?.replaceAll("\0", "") || null,
  };
  const rows = await store.memberPage(connection, { ...request, after, limit: limit + 1 });
  return {
    edges: rows.slice(0, limit).map(({ userId, membership, eventId }) => ({
      node: { room, userId, membership, eventId },
      cursor: tokens.chunk("members", room.roomId, [userId]),
    })),
    hasPreviousPage: after !== null,
    hasNextPage: rows.length > limit,
    total: () => store.countMembers(connection, request),
  };
}

/** How many members of each membership rooms have now; one statement. */
export function memberCounts(
  { connection }: Reading,
  roomIds: readonly string[],
): Promise<Map<string, Map<Membership, number>>> {
  return store.memberCounts(connection, roomIds);
}

/** How many members of a membership a room had at a position. */
export function memberCountAt(
  { connection }: Reading,
  room: { roomId: string; until: number },
  membership: Membership,
): Promise<number> {
  return store.countMembers(connection, { ...room, memberships: [membership], search: null });
}
