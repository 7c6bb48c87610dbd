import { z } from "zod";
import { check } from "../model/check.ts";
import { badInput, HearthError, roomNotFound } from "../model/errors.ts";
import { roomId } from "../model/ids.ts";
import { checkLimit } from "../model/paging.ts";
import type { PublishedPage } from "../model/publishedRoom.ts";
import type { Requester } from "../model/requester.ts";
import * as store from "../store/publishedRooms.ts";
import type { ActionTools } from "./actions/act.ts";
import { loadAuthority } from "./append/authorities.ts";
import { knowsRoom } from "./reading/views.ts";

/** How long a search can be paged through. [DIR-3] */
const snapshotMs = 10 * 60_000;
/** Who searches the same within such a span of time shares a snapshot, unless anything was published or renamed meanwhile. */
const shareMs = 30_000;
const maxSearch = 255;
/** A room whose members come and go all the time moves its version between judging and publishing. */
const publishTries = 10;

export interface PublishedRoomsArguments {
  /** Part of an alias, the name or the topic, in any case; none: all rooms. */
  search?: string | null;
  /** Whose rooms; none: this server's. */
  server?: string | null;
  first: number;
  after?: string | null;
}

/**
 * A page of the rooms that are published here: those with most members first. [DIR-1, DIR-2] The first request takes a
 * snapshot of what there is, which `after` goes on in: the list and its order stay, and what is told of a room is what holds
 * now. Rooms that aren't published any more are left out. [DIR-3]
 * Throws `BAD_INPUT`, `UNSUPPORTED` for other servers, `BAD_TOKEN` also for a snapshot that is over.
 */
export async function publishedRooms(
  { database, clock, ids, tokens, serverName }: ActionTools,
  { userId }: Requester,
  args: PublishedRoomsArguments,
): Promise<PublishedPage> {
  const limit = checkLimit(args.first, "first");
  const search = searchOf(args.search);
  if (args.server && args.server !== serverName) {
    throw new HearthError("UNSUPPORTED", "server: this server lists its own rooms alone.", { field: "server" });
  }
  const now = clock.now();
  const [id, after] =
    typeof args.after === "string"
      ? (tokens.readChunk(args.after, "published", serverName) as [string, number])
      : [await takeSnapshot(), 0];

  function takeSnapshot(): Promise<string> {
    const expiresAt = new Date(now + snapshotMs);
    const slot = Math.floor(now / shareMs);
    const request = { id: ids.opaque(), search: search ?? "", userId, now: new Date(now), expiresAt, slot };
    return store.takeSnapshot(database.reader, request);
  }

  const page = await store.snapshotPage(database.reader, { id, search, after, limit, userId, now: new Date(now) });
  if (page === null) {
    throw new HearthError("BAD_TOKEN", "The search is over: begin it anew, without `after`.", { field: "after" });
  }
  if (!page.same) {
    throw new HearthError("BAD_TOKEN", "The token belongs to another search.", { field: "after" });
  }
  const cursor = (place: number): string => tokens.chunk("published", serverName, [id, place]);
  const end = Math.min(after + limit, page.total);
  return {
    edges: page.rooms.map(({ place, room }) => ({ node: room, cursor: cursor(place) })),
    hasPreviousPage: after > 0,
    hasNextPage: end < page.total,
    // The places of rooms that aren't shown any more are passed as well.
    ...(end > after ? { start: cursor(after + 1), end: cursor(end) } : {}),
    total: () => Promise.resolve(page.total),
    page: limit === 0 ? 1 : Math.floor(after / limit) + 1,
  };
}

/** The text to search for, without what no text holds; throws `BAD_INPUT` for one that is too long. */
export function searchOf(given: string | null | undefined): string | null {
  if (given === null || given === undefined) return null;
  if (given.length > maxSearch) throw badInput("search", `is longer than ${maxSearch} characters`);
  return given.replaceAll("\0", "");
}

/** Whether a room is published. Throws `NOT_FOUND` for one that isn't, to who may not see it. [EV-9] */
export async function isPublished({ database }: ActionTools, { userId }: Requester, roomId: string): Promise<boolean> {
  const published = await store.isPublished(database.reader, roomId);
  if (!published && !(await knowsRoom(database.reader, userId, roomId))) throw roomNotFound();
  return published;
}

const publishRoomInput = z.strictObject({ roomId, published: z.boolean() });

/**
 * Lists a room among the published ones, or no more; doing it again changes nothing. Gives the room's id. For the room's
 * operators and admins of the server, else `FORBIDDEN`; `NOT_FOUND` for rooms that the requester may not see. [DIR-4]
 */
export async function publishRoom(
  { database, authorities }: ActionTools,
  requester: Requester,
  given: unknown,
): Promise<{ roomId: string; published: boolean }> {
  const input = check(publishRoomInput, given);
  for (let tried = 0; tried < publishTries; tried++) {
    const room = await loadAuthority(database.reader, input.roomId, [requester.userId]);
    if (room === null) throw roomNotFound();
    if (!requester.admin && !room.isOperator(requester.userId)) throw await refusal(requester.userId, input.roomId);
    if (await store.setPublished(database.reader, { ...input, version: room.version! })) return input;
    authorities.forget(input.roomId);
  }
  throw new HearthError("OVERLOADED", "The room changes too fast; try again.");

  /** Tells nothing about a room that the requester may not see. [EV-9] */
  async function refusal(userId: string, id: string): Promise<HearthError> {
    const knows = await knowsRoom(database.reader, userId, id);
    return knows ? new HearthError("FORBIDDEN", "Only operators of the room may publish it.") : roomNotFound();
  }
}
