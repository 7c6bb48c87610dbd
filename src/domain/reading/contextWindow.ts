import { lazyEdge, type EventConnection } from "../../model/connection.ts";
import { eventNotFound } from "../../model/errors.ts";
import type { AnyEvent, StoredEvent } from "../../model/event.ts";
import type { Filter } from "../../model/filter.ts";
import { checkLimit } from "../../model/paging.ts";
import type { RoomView } from "../../model/room.ts";
import { linesOfUpdates } from "../../store/relations.ts";
import { inSpans } from "../rules/visibility.ts";
import { placeToken, readPages } from "./pages.ts";
import type { Reading } from "./reading.ts";

/** The events around one, which is always among them. [CTX-1] */
export interface ContextWindow {
  event: StoredEvent;
  view: RoomView;
  events: EventConnection;
  /**
   * The stream position at the end of the window, where its state is read; null where the reader sees no more than the
   * event itself, as of an invite from before they joined.
   */
  end: number | null;
}

/**
 * The window around an event that the reader may see. Where the filter bundles updates, that of an update is its
 * parent's, which holds it. Throws `BAD_INPUT` for limits out of range, and `NOT_FOUND` for a marker's move, which has no
 * place in its room. [ACT-11]
 */
export async function contextWindow(
  reading: Reading,
  view: RoomView,
  event: StoredEvent,
  args: { before: number; after: number; filter: Filter },
): Promise<ContextWindow> {
  if (event.marker !== null) throw eventNotFound();
  const { filter } = args;
  const limits = { before: checkLimit(args.before, "before"), after: checkLimit(args.after, "after") };
  const middle = filter.selection.hidesUpdates ? await rootOf(reading, view, event) : event;
  const upTo = reading.head.position;
  const [before, after] = await Promise.all(
    (["before", "after"] as const).map(async (direction) => {
      const rooms = [{ view, from: middle.place }];
      const [page] = await readPages(reading, { rooms, upTo, direction, limit: limits[direction], filter });
      return page!();
    }),
  );
  const own = lazyEdge<AnyEvent>(middle, () => placeToken(reading.tokens, middle));
  const edges = [...before!.edges, own, ...after!.edges];
  const readable = edges.flatMap(({ node }) =>
    node.kind !== "EPHEMERAL" && inSpans(node.place, view.spans) ? [node.place.major] : [],
  );
  return {
    event,
    view,
    end: readable.at(-1) ?? null,
    events: {
      edges,
      hasPreviousPage: before!.hasPreviousPage,
      hasNextPage: after!.hasNextPage,
      filter,
      before: before!.before,
    },
  };
}

async function rootOf({ connection }: Reading, view: RoomView, event: StoredEvent): Promise<StoredEvent> {
  if (event.updatesId === null) return event;
  const line = (await linesOfUpdates(connection, [event.eventId])).get(event.eventId);
  const root = line?.find((each) => each.updatesId === null);
  return root && inSpans(root.place, view.spans) ? root : event;
}
