import type { EventConnection } from "../../model/connection.ts";
import type { Filter } from "../../model/filter.ts";
import { badInput } from "../../model/errors.ts";
import { behind } from "../../model/order.ts";
import type { RoomView } from "../../model/room.ts";
import type { StreamToken, Tokens } from "../../model/tokens.ts";
import type { Requester } from "../../model/requester.ts";
import { connectionOf, findPages } from "../reading/pages.ts";
import type { Reading } from "../reading/reading.ts";

/** How long a reading waits for this process to reach the position of a token that another process gave. */
const otherProcessMs = 5000;

/** A stream token for reading: where its reader stands, and what it is limited to. */
export interface Since {
  token: StreamToken;
  /** Null when the token is unused, or of a state that the database was set back from: everything is new. [STR-1] */
  position: number | null;
}

/** Reads a stream token, or takes all rooms and users when there is none. Throws `BAD_TOKEN`. [STR-1, STR-2] */
export async function readSince(
  { tokens, head }: Reading,
  { userId, deviceId }: Requester,
  stream: string | null | undefined,
): Promise<Since> {
  if (stream === null || stream === undefined)
    return { token: { userId, deviceId, rooms: null, users: null, position: null }, position: null };
  const token = tokens.readStream(stream, { userId, deviceId });
  const known = token.position === null || (await head.reached(token.position, otherProcessMs));
  return { token, position: known ? token.position : null };
}

/** The token's successor: the same rooms and users at a position. [STR-1] */
export function successor(tokens: Tokens, { token }: Since, position: number): string {
  return tokens.stream({ ...token, position });
}

/** A room with what happened in it since a position. */
export interface Difference {
  /** False when that is more than a page, or the room is new: then the timeline is a fresh page. [SYN-2, SCR-2] */
  incremental: boolean;
  timeline(): EventConnection;
}

/**
 * The events of rooms since a position each (null: the newest page), or a fresh page where they are more than `limit`.
 * A fixed number of statements whatever the number of rooms. Insertions into the past are no news. [SYN-2, SCR-2]
 */
export async function differences(
  reading: Reading,
  rooms: readonly { view: RoomView; since: number | null }[],
  request: { upTo: number; limit: number; filter: Filter },
): Promise<Difference[]> {
  const news = rooms.flatMap(({ view, since }, index) =>
    since === null ? [] : [{ view, from: behind(since), index }],
  );
  const after = { ...request, direction: "after" as const };
  const newPages = news.length === 0 ? [] : await findPages(reading, { ...after, rooms: news });
  const found: Difference[] = [];
  for (const [n, { view, from, index }] of news.entries()) {
    const page = newPages[n]!;
    if (page.more) continue;
    found[index] = { incremental: true, timeline: () => connectionOf(reading, view, page, from, after) };
  }
  const fresh = rooms.flatMap(({ view }, index) => (found[index] ? [] : [{ view, from: null, index }]));
  const before = { ...request, direction: "before" as const };
  const freshPages = fresh.length === 0 ? [] : await findPages(reading, { ...before, rooms: fresh });
  for (const [n, { view, index }] of fresh.entries()) {
    const page = freshPages[n]!;
    found[index] = { incremental: false, timeline: () => connectionOf(reading, view, page, null, before) };
  }
  return found;
}

/** Whether a token covers a room, else `BAD_INPUT`: it would never say anything of it. */
export function demandRoom({ token }: Since, roomId: string): void {
  if (token.rooms !== null && !token.rooms.includes(roomId)) {
    throw badInput("stream", "is limited to other rooms");
  }
}
