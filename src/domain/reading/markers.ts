import type { Connection } from "../../model/connection.ts";
import { markerKinds, type Marker, type MarkerKind } from "../../model/marker.ts";
import { checkLimit } from "../../model/paging.ts";
import type { RoomView } from "../../model/room.ts";
import * as store from "../../store/markers.ts";
import type { Reading } from "./reading.ts";

/** A marker together with the event by which it looks like state. */
export type PlacedMarker = store.PlacedMarker;

/** The markers of users as the rooms' viewer sees them, in their order, null where there is none; one statement. [ACT-11] */
export async function markersOfUsers(
  { connection }: Reading,
  viewer: string,
  wanted: readonly { room: Pick<RoomView, "roomId" | "until">; userId: string; kind: MarkerKind }[],
): Promise<(PlacedMarker | null)[]> {
  const named = wanted.map(({ room: { roomId }, userId, kind }) => ({ roomId, userId, kind }));
  const found = await store.markersOfUsers(connection, viewer, named);
  return found.map((marker, index) => {
    const { until } = wanted[index]!.room;
    return marker === null || (until !== null && marker.event.position > until) ? null : marker;
  });
}

/** A page of a room's markers, of one kind or all, by kind and user. [ACT-11] */
export async function markerConnection(
  { connection, tokens }: Reading,
  { viewer, roomId, until }: RoomView,
  args: { kind?: MarkerKind | null; first: number; after?: string | null },
): Promise<Connection<Marker>> {
  const limit = checkLimit(args.first, "first");
  const after = typeof args.after === "string" ? tokens.readChunk(args.after, "markers", roomId) : null;
  const [kind, userId] = (after ?? []) as string[];
  const request = {
    ...{ viewer, roomId, until: until ?? Number.MAX_SAFE_INTEGER },
    kinds: args.kind ? [args.kind] : markerKinds,
  };
  const markers = await store.markerPage(connection, {
    ...request,
    after: after === null ? null : { kind: kind!, userId: userId! },
    limit: limit + 1,
  });
  return {
    edges: markers.slice(0, limit).map((node) => ({
      node,
      cursor: tokens.chunk("markers", roomId, [node.kind, node.userId]),
    })),
    hasPreviousPage: after !== null,
    hasNextPage: markers.length > limit,
    total: () => store.countMarkers(connection, request),
  };
}

/** How many messages rooms have that their viewer hasn't read, and how many of them mention the viewer. [ACT-11] */
export function unreadCounts(
  { connection }: Reading,
  userId: string,
  views: readonly RoomView[],
): Promise<store.Unread[]> {
  return store.countUnread(connection, userId, views);
}
