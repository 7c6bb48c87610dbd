import type { AccessTokenShape, DeviceShape } from "../../model/account.ts";
import type { Connection } from "../../model/connection.ts";
import type { Membership } from "../../model/content/typed.ts";
import type { StoredEvent } from "../../model/event.ts";
import { checkLimit } from "../../model/paging.ts";
import type { Requester } from "../../model/requester.ts";
import type { RoomView } from "../../model/room.ts";
import * as devices from "../../store/devices.ts";
import { eventsById } from "../../store/events.ts";
import { countRoomsOfUser, joinedRooms, roomsOfUser } from "../../store/rooms.ts";
import type { Reading } from "./reading.ts";

/** The requester's rooms of some memberships, the latest change of membership first; without those they may not see. */
export async function ownRooms(
  { connection, tokens }: Reading,
  { userId }: Requester,
  args: { membership: Membership[]; first: number; after?: string | null },
  viewsOf: (roomIds: string[]) => Promise<(RoomView | null)[]>,
): Promise<Connection<RoomView>> {
  const limit = checkLimit(args.first, "first");
  const after =
    typeof args.after === "string" ? { position: Number(tokens.readChunk(args.after, "rooms", userId)[0]) } : null;
  const rows = await roomsOfUser(connection, { userId, memberships: args.membership, after, limit: limit + 1 });
  const page = rows.slice(0, limit);
  const views = await viewsOf(page.map((row) => row.roomId));
  return {
    edges: page.flatMap(({ position }, index) => {
      const view = views[index];
      return view ? [{ node: view, cursor: tokens.chunk("rooms", userId, [position]) }] : [];
    }),
    hasPreviousPage: after !== null,
    hasNextPage: rows.length > limit,
    total: () => countRoomsOfUser(connection, userId, args.membership),
  };
}

/** Ids of the rooms that the requester is in. */
export async function joinedRoomIds({ connection }: Reading, { userId }: Requester): Promise<string[]> {
  return (await joinedRooms(connection, [userId])).get(userId) ?? [];
}

/** The requester's open invites, the newest first. [SYN-5] */
export async function ownInvites({ connection }: Reading, { userId }: Requester): Promise<StoredEvent[]> {
  const request = { userId, memberships: ["invite" as const], after: null, limit: 1000 };
  const rows = await roomsOfUser(connection, request);
  const events = await eventsById(
    connection,
    rows.map((row) => row.eventId),
  );
  return events.sort((a, b) => b.position - a.position);
}

/** A device of the requester; null where it is gone. */
export function ownDevice(
  { connection }: Reading,
  { userId }: Requester,
  deviceId: string,
): Promise<DeviceShape | null> {
  return devices.findDevice(connection, { userId, deviceId });
}

/** The tokens of devices that the viewer was given, without their secrets; one statement. [ACC-2] */
export function tokensOfDevices(
  { connection }: Reading,
  named: readonly Pick<DeviceShape, "userId" | "deviceId">[],
): Promise<AccessTokenShape[][]> {
  return devices.tokensOfDevices(connection, named);
}
