import type { StoredEvent } from "../../model/event.ts";
import type { UserId } from "../../model/ids.ts";
import type { RoomView } from "../../model/room.ts";
import type { Membership } from "../../model/content/typed.ts";
import type { Connection } from "../../store/database.ts";
import { roomHistories } from "../../store/rooms.ts";
import { inSpans, ownMembershipPositions, readableSpans } from "../rules/visibility.ts";

/** How a room stands to a user: what they may read of it, and their own membership events. [EV-9] */
export interface RoomAccess {
  roomId: string;
  membership: Membership | null;
  /** Null when the user may read nothing of it: to them the room doesn't exist. */
  view: RoomView | null;
  ownPositions: ReadonlySet<number>;
}

/** Access to rooms by id, one statement for all; rooms that don't exist are left out. */
export async function accessToRooms(
  connection: Connection,
  userId: UserId,
  roomIds: readonly string[],
): Promise<Map<string, RoomAccess>> {
  const histories = await roomHistories(connection, userId, roomIds);
  return new Map(
    histories.map(({ roomId, creator, createdAt, published, memberships, visibilities }) => {
      const last = memberships.at(-1);
      // A rejected invite ends in an empty slot, which reads as having left.
      const membership = last?.membership ?? null;
      const spans = readableSpans(memberships, visibilities);
      const until = spans.at(-1)?.to ?? null;
      const room = { viewer: userId, roomId, creator, createdAt, published, membership, spans, until };
      const view = spans.length === 0 ? null : room;
      return [roomId, { roomId, membership, view, ownPositions: new Set(ownMembershipPositions(memberships)) }];
    }),
  );
}

/** Whether an event of the room may be seen. */
export function maySee(event: StoredEvent, access: RoomAccess | undefined): boolean {
  if (access === undefined) return false;
  if (access.ownPositions.has(event.position)) return true;
  return access.view !== null && inSpans(event.place, access.view.spans);
}
