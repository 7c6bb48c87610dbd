import { badInput, HearthError } from "../../model/errors.ts";
import type { EventConnection } from "../../model/connection.ts";
import type { Filter, FilterInput } from "../../model/filter.ts";
import type { RoomId } from "../../model/ids.ts";
import { readPaging, type PagingArguments } from "../../model/paging.ts";
import type { Requester } from "../../model/requester.ts";
import type { RoomView } from "../../model/room.ts";
import { readFilter } from "../filters.ts";
import { defaultPage, findPages, OutdatedView, roomPage } from "../reading/pages.ts";
import type { Reading } from "../reading/reading.ts";
import type { RoomAccess } from "../reading/views.ts";
import { demandRoom, differences, readSince, type Since } from "./difference.ts";

export interface ScrollbackArguments extends PagingArguments {
  stream?: string | null;
  filter?: string | null;
  stateFilter?: string | null;
  tweak?: FilterInput | null;
}

/** A room, opened or scrolled. [SCR] */
export interface Scrollback {
  view: RoomView;
  since: Since;
  filter: Filter;
  stateFilter: Filter;
  /** The head when the reading began: what comes later comes down the stream. [EVS-3] */
  position: number;
  incremental: boolean;
  events: EventConnection;
}

/**
 * The newest page of a room, the one next to a chunk token, or what is new since a stream token. [SCR-1, SCR-2]
 * Throws `BAD_TOKEN`, and `BAD_INPUT` for limits out of range and arguments that contradict each other.
 */
export async function scrollback(
  reading: Reading,
  requester: Requester,
  view: RoomView,
  args: ScrollbackArguments,
  { recalled = false } = {},
): Promise<Scrollback> {
  const place = given(args.after) ? "after" : given(args.before) ? "before" : null;
  if (given(args.stream) && place !== null) throw badInput("stream", `can't go together with ${place}`);
  const since = await readSince(reading, requester, args.stream);
  demandRoom(since, view.roomId);
  const filter = readFilter(reading.tokens, args.filter, args.tweak);
  const stateFilter = readFilter(reading.tokens, args.stateFilter);
  const { position } = reading.head;
  const opened = { view, since, filter, stateFilter, position };
  if (since.position === null) {
    return {
      ...opened,
      incremental: false,
      events: await roomPage(reading, view, args, filter, { upTo: position, recalled }),
    };
  }
  const { limit } = readPaging(args, filter.definition.limit ?? defaultPage);
  const request = { upTo: position, limit, filter };
  const [difference] = await differences(reading, [{ view, since: since.position }], request);
  const events = difference!.timeline();
  return { ...opened, incremental: difference!.incremental, events: await withPrevious(reading, view, events, opened) };
}

/**
 * The same by what is remembered of who may see what, in one statement instead of two. Null where nothing is remembered, or
 * where it doesn't hold any more: then it has to be read anew, which finds what is wrong with the arguments, too. [EV-9]
 */
export async function recalledScrollback(
  reading: Reading,
  requester: Requester,
  roomId: RoomId,
  args: ScrollbackArguments,
): Promise<{ access: RoomAccess; opened: Scrollback } | null> {
  const access = given(args.stream) ? null : reading.views.recall(requester.userId, roomId);
  if (access === null || access.view === null) return null;
  try {
    return { access, opened: await scrollback(reading, requester, access.view, args, { recalled: true }) };
  } catch (error) {
    if (error instanceof OutdatedView || error instanceof HearthError) return null;
    throw error;
  }
}

function given(argument: string | null | undefined): boolean {
  return argument !== null && argument !== undefined;
}

/** Whether anything lies before a difference: nothing does when the room is younger than the token. */
async function withPrevious(
  reading: Reading,
  view: RoomView,
  events: EventConnection,
  { position, filter }: Pick<Scrollback, "position" | "filter">,
): Promise<EventConnection> {
  if (!events.hasPreviousPage || events.before === null) return events;
  const request = { upTo: position, direction: "before" as const, limit: 0, filter };
  const [page] = await findPages(reading, { ...request, rooms: [{ view, from: events.before.place }] });
  return { ...events, hasPreviousPage: page!.more };
}
