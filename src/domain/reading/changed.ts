import { lazyEdge, type EventConnection } from "../../model/connection.ts";
import type { Filter } from "../../model/filter.ts";
import { checkLimit } from "../../model/paging.ts";
import { passes } from "../../model/patterns.ts";
import type { RoomView } from "../../model/room.ts";
import { changedEvents } from "../../store/changes.ts";
import { placeOfToken, placeToken } from "./pages.ts";
import type { Reading } from "./reading.ts";

/**
 * The events of rooms that were there at a position and were updated or redacted after it, through a filter, oldest
 * first; one statement for all rooms. [SYN-11] `since` null: nothing was there.
 */
export async function changedSince(
  { connection, tokens }: Reading,
  rooms: readonly { view: RoomView; since: number | null; upTo: number }[],
  args: { filter: Filter; first: number; after?: string | null },
): Promise<EventConnection[]> {
  const { filter } = args;
  const limit = checkLimit(args.first, "first");
  const after =
    typeof args.after === "string" && rooms[0] ? placeOfToken(tokens, args.after, rooms[0].view.roomId) : null;
  const asked = rooms.flatMap(({ view, since, upTo }, index) =>
    since === null || !passes(filter.selection.rooms, view.roomId)
      ? []
      : [{ index, roomId: view.roomId, spans: view.spans, since, to: Math.min(upTo, view.until ?? upTo) }],
  );
  const found =
    asked.length === 0
      ? []
      : await changedEvents(connection, { rooms: asked, selection: filter.selection, after, limit });
  const changes = new Map(asked.map(({ index }, n) => [index, found[n]!]));
  return rooms.map((_room, index) => {
    const events = changes.get(index) ?? [];
    return {
      edges: events.slice(0, limit).map((node) => lazyEdge(node, () => placeToken(tokens, node))),
      hasPreviousPage: after !== null,
      hasNextPage: events.length > limit,
      filter,
      before: null,
    };
  });
}
