import { badInput, HearthError } from "../../model/errors.ts";
import type { Filter } from "../../model/filter.ts";
import { maxPage } from "../../model/paging.ts";
import { passes } from "../../model/patterns.ts";
import type { RoomView } from "../../model/room.ts";
import { pageEnds } from "../../store/overview.ts";
import { placeToken } from "./pages.ts";
import type { Reading } from "./reading.ts";

/** Every page of a room under a filter, as a snapshot. [OVR-1] */
export interface PageOverview {
  /** Page 1 is the oldest, and begins after no token. */
  pages: { number: number; after: string | null }[];
  totalEvents: number;
}

const maxPages = 10_000;

/** Reads all pages' tokens. Throws `BAD_INPUT` for page sizes out of range, `TOO_LARGE` for more than 10,000 pages. */
export async function pageOverview(
  { connection, tokens, head }: Reading,
  view: RoomView,
  perPage: number,
  { selection }: Filter,
): Promise<PageOverview> {
  if (perPage < 1 || perPage > maxPage) throw badInput("perPage", `is not between 1 and ${maxPage}`);
  if (!passes(selection.rooms, view.roomId)) return { pages: [], totalEvents: 0 };
  const { roomId, spans } = view;
  const { total, ends } = await pageEnds(connection, { roomId, spans, head: head.position, selection, perPage });
  const count = Math.ceil(total / perPage);
  if (count > maxPages) {
    throw new HearthError("TOO_LARGE", `perPage: makes more than ${maxPages} pages.`, { field: "perPage" });
  }
  const pages = Array.from({ length: count }, (_, index) => {
    const place = index === 0 ? null : ends[index - 1]!;
    return { number: index + 1, after: place && placeToken(tokens, { roomId, place }) };
  });
  return { pages, totalEvents: total };
}
