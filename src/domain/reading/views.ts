import { LRUCache } from "lru-cache";
import type { StoredEvent } from "../../model/event.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import type { RoomView } from "../../model/room.ts";
import type { Membership } from "../../model/content/typed.ts";
import type { Connection } from "../../store/database.ts";
import { historyOfText, roomHistories } from "../../store/rooms.ts";
import { inSpans, ownMembershipPositions, readableSpans } from "../rules/visibility.ts";

/** How many readers of rooms are remembered, and the characters of all together. */
const remembered = { max: 10_000, maxSize: 8_000_000 };

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
  return new Map([...histories].map(([roomId, history]) => [roomId, accessOf(userId, roomId, history)]));
}

/** What follows for a user from what the store says of a room; see `historyOfText`. */
function accessOf(userId: UserId, roomId: RoomId, madeOf: string): RoomAccess {
  const { creator, createdAt, published, memberships, visibilities } = historyOfText(madeOf);
  // A rejected invite ends in an empty slot, which reads as having left.
  const membership = memberships.at(-1)?.membership ?? null;
  const spans = readableSpans(memberships, visibilities);
  const until = spans.at(-1)?.to ?? null;
  const room = { viewer: userId, roomId, creator, createdAt, published, membership, spans, until, madeOf };
  const view = spans.length === 0 ? null : room;
  return { roomId, membership, view, ownPositions: new Set(ownMembershipPositions(memberships)) };
}

/**
 * What a few thousand readers of rooms were known to be allowed to see. It counts for nothing by itself: whoever reads by
 * it has the store say with the page whether it still holds.
 */
export class KnownViews {
  readonly #histories = new LRUCache<string, string>({
    ...remembered,
    sizeCalculation: (history, name) => history.length + name.length,
  });

  remember({ viewer, roomId, madeOf }: RoomView): void {
    this.#histories.set(`${viewer} ${roomId}`, madeOf);
  }

  recall(userId: UserId, roomId: RoomId): RoomAccess | null {
    const madeOf = this.#histories.get(`${userId} ${roomId}`);
    return madeOf === undefined ? null : accessOf(userId, roomId, madeOf);
  }
}

/** Whether an event of the room may be seen. */
export function maySee(event: StoredEvent, access: RoomAccess | undefined): boolean {
  if (access === undefined) return false;
  if (access.ownPositions.has(event.position)) return true;
  return access.view !== null && inSpans(event.place, access.view.spans);
}

/** Whether a user may be told that there is such a room: they may see something of it, or are asked in, or have asked. [EV-9] */
export async function knowsRoom(connection: Connection, userId: string, roomId: string): Promise<boolean> {
  const { membership = null, view = null } = (await accessToRooms(connection, userId, [roomId])).get(roomId) ?? {};
  return view !== null || membership === "invite" || membership === "knock";
}
