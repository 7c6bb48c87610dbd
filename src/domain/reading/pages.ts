import { lazyEdge, type EventConnection, type PageStart } from "../../model/connection.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Filter } from "../../model/filter.ts";
import { behind, type Place } from "../../model/order.ts";
import { readPaging, type PagingArguments } from "../../model/paging.ts";
import { passes } from "../../model/patterns.ts";
import type { RoomView } from "../../model/room.ts";
import type { Tokens } from "../../model/tokens.ts";
import { countNearest, eventPages, type EventPage } from "../../store/pages.ts";
import { everything } from "../filters.ts";
import type { Reading } from "./reading.ts";

/** Events of a page unless the call or its filter says how many. */
export const defaultPage = 20;
/** Events that an estimate counts before it begins to guess. [SCR-5] */
const countedExactly = 200;

/** Chunk tokens of the room order: scrollback, timeline, context, overview and `cursor` share them. [STR-4] */
export function placeToken(tokens: Tokens, event: Pick<StoredEvent, "roomId" | "place">): string {
  return tokens.chunk("room", event.roomId, [event.place.major, event.place.minor]);
}

export function placeOfToken(tokens: Tokens, token: string, roomId: string): Place {
  const [major, minor] = tokens.readChunk(token, "room", roomId) as [number, string];
  return { major, minor };
}

/**
 * A page of a room's events, oldest first; only what the view may see and the filter lets through. [SCR-1, SCR-3, EV-9]
 * Nothing beyond `upTo`: whoever gives a stream token with the page gives the token's position, so that the stream goes
 * on exactly where the page ends. [EVS-3]
 */
export async function roomPage(
  reading: Reading,
  view: RoomView,
  args: PagingArguments,
  filter: Filter = everything,
  { upTo = reading.head.position, recalled = false }: { upTo?: number; recalled?: boolean } = {},
): Promise<EventConnection> {
  const { direction, limit, token } = readPaging(args, filter.definition.limit ?? defaultPage);
  const from = token === null ? null : placeOfToken(reading.tokens, token, view.roomId);
  const pages = await readPages(reading, { rooms: [{ view, from }], upTo, direction, limit, filter, recalled });
  return pages[0]!();
}

export interface PagesOf {
  rooms: readonly { view: RoomView; from: Place | null }[];
  /** Nothing beyond this stream position. */
  upTo: number;
  direction: "before" | "after";
  limit: number;
  filter: Filter;
  /** The one room's view is from memory: `OutdatedView` is thrown unless the store says with the page that it holds. */
  recalled?: boolean;
}

/** What a reader may see isn't what it was, or nothing was found that would tell. */
export class OutdatedView extends Error {}

/** A page of each of these rooms, made when it is called for; a fixed number of statements. */
export async function readPages(reading: Reading, request: PagesOf): Promise<(() => EventConnection)[]> {
  const pages = await findPages(reading, request);
  return request.rooms.map(({ view, from }, index) => {
    const page = pages[index]!;
    return () => connectionOf(reading, view, page, from, request);
  });
}

/** The pages as the store gives them: how many events they hold shows without reading them. */
export async function findPages({ connection }: Reading, request: PagesOf): Promise<EventPage[]> {
  const { rooms, upTo, direction, limit, filter, recalled = false } = request;
  const pages = await eventPages(connection, {
    rooms: rooms.map(({ view, from }) => ({ roomId: view.roomId, spans: spansFor(view, filter), from })),
    ...{ head: upTo, direction, limit, selection: filter.selection },
    ...(recalled ? { reader: rooms[0]!.view.viewer } : {}),
  });
  if (recalled && pages[0]!.history !== rooms[0]!.view.madeOf) throw new OutdatedView();
  return pages;
}

/** What of a room can be on a page: nothing, if the filter leaves the whole room out. */
function spansFor({ roomId, spans }: RoomView, { selection }: Filter): RoomView["spans"] {
  return passes(selection.rooms, roomId) ? spans : [];
}

/** A page with its tokens. An empty one has them, too: of where it would stand. */
export function connectionOf(
  reading: Reading,
  view: RoomView,
  page: EventPage,
  from: Place | null,
  { upTo, direction, filter }: Pick<PagesOf, "upTo" | "direction" | "filter">,
): EventConnection {
  const { tokens } = reading;
  const events = page.events();
  const origin = from ?? (direction === "before" ? behind(upTo) : { major: 0, minor: "" });
  const emptyAt = events.length === 0 ? placeToken(tokens, { roomId: view.roomId, place: origin }) : null;
  return {
    edges: events.map((node) => lazyEdge(node, () => placeToken(tokens, node))),
    hasPreviousPage: direction === "before" ? page.more : from !== null,
    hasNextPage: direction === "before" ? from !== null : page.more,
    ...(emptyAt === null ? {} : { start: emptyAt, end: emptyAt }),
    filter,
    before: { view, place: events[0]?.place ?? origin, upTo },
  };
}

/**
 * About how many events lie before each of these pages of one filter and position: counted up to a bound, beyond which
 * the room is taken to go on as densely as in what was counted. The cost is the same for every room. [SCR-5]
 */
export async function estimatesBefore(
  { connection }: Reading,
  pages: readonly { filter: Filter; before: PageStart }[],
): Promise<number[]> {
  const [shared] = pages;
  if (shared === undefined) return [];
  const estimates = await countNearest(connection, {
    rooms: pages.map(({ filter, before: { view, place } }) => ({
      ...{ roomId: view.roomId, spans: spansFor(view, filter), from: place },
    })),
    ...{ head: shared.before.upTo, direction: "before", limit: countedExactly, selection: shared.filter.selection },
  });
  return pages.map(({ before: { view, place } }, index) => {
    const { counted, farthest, first } = estimates.get(index) ?? { counted: 0, farthest: 0, first: 0 };
    if (counted <= countedExactly) return counted;
    const beginning = Math.max(first, view.spans[0]?.from ?? 0);
    const perPosition = counted / Math.max(1, place.major - farthest);
    return Math.round(counted + Math.max(0, farthest - beginning) * perPosition);
  });
}
