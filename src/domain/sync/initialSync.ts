import { lazyEdge, type Connection } from "../../model/connection.ts";
import { badInput } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Filter, FilterInput } from "../../model/filter.ts";
import { checkLimit } from "../../model/paging.ts";
import { passes } from "../../model/patterns.ts";
import type { Requester } from "../../model/requester.ts";
import type { RoomView } from "../../model/room.ts";
import { eventsAt } from "../../store/events.ts";
import { roomsOfUserSince, type RoomAt } from "../../store/rooms.ts";
import { pageSize, readFilter } from "../filters.ts";
import { defaultPage } from "../reading/pages.ts";
import type { Reading } from "../reading/reading.ts";
import { listsMarkers } from "./wish.ts";
import { readSince, successor, type Since } from "./difference.ts";

/** The rooms of a user are compared with up to this many that changed; beyond, all of them are looked at. */
const maxChanged = 200;

export interface InitialSyncArguments {
  stream?: string | null;
  filter?: string | null;
  stateFilter?: string | null;
  limit?: number | null;
  tweak?: FilterInput | null;
}

/** One initial sync: what was asked for, and the user's rooms at one position. [SYN] */
export interface InitialSync {
  requester: Requester;
  since: Since;
  /** The stream position that everything is read at. */
  position: number;
  filter: Filter;
  stateFilter: Filter;
  /** Timeline events per room. */
  limit: number;
  /** Rooms with a membership at the position, as far as token and filter take them in. */
  rooms: RoomAt[];
}

/** A joined room of a sync. */
export interface SyncRoom {
  sync: InitialSync;
  view: RoomView;
  /** Differences begin after this position; null where everything is new. */
  since: number | null;
}

/** A room that was joined at the token's position and isn't any more. */
export interface LeftRoom {
  roomId: string;
  event: StoredEvent | null;
}

/**
 * Begins a sync at the present position; its lists are read when they are asked for. [SYN-2, SYN-9]
 * Throws `BAD_TOKEN`, and `BAD_INPUT` for limits out of range.
 */
export async function initialSync(
  reading: Reading,
  requester: Requester,
  args: InitialSyncArguments,
): Promise<InitialSync> {
  const since = await readSince(reading, requester, args.stream);
  const filter = readFilter(reading.tokens, args.filter, args.tweak);
  const stateFilter = readFilter(reading.tokens, args.stateFilter);
  const limit = pageSize(args.limit, filter, defaultPage);
  const { position } = reading.head;
  const sync = { requester, since, position, filter, stateFilter, limit, rooms: [] };
  return { ...sync, rooms: await roomsAt(reading, sync, position) };
}

async function roomsAt(reading: Reading, sync: Omit<InitialSync, "rooms">, position: number): Promise<RoomAt[]> {
  const { requester, since, filter } = sync;
  const only = since.token.rooms === null ? null : new Set(since.token.rooms);
  const request = { position, since: since.position, changed: changedRooms(reading, since) };
  const rooms = await roomsOfUserSince(reading.connection, requester.userId, request);
  return rooms.filter(({ roomId }) => (only === null || only.has(roomId)) && passes(filter.selection.rooms, roomId));
}

/** Rooms in which anything happened since; null where memory doesn't reach back so far, or they are many. */
function changedRooms({ head }: Reading, { position }: Since): string[] | null {
  const events = position === null ? null : head.after(position);
  if (events === null) return null;
  const rooms = new Set(events.map((event) => event.roomId));
  return rooms.size > maxChanged ? null : [...rooms];
}

/** The token for the event stream and the next sync. [STR-1] */
export function syncToken(reading: Reading, { since, position }: InitialSync): string {
  return successor(reading.tokens, since, position);
}

/**
 * A page of the joined rooms, the most recently active first; in a difference only those with news. [SYN-2, SYN-6]
 * A cursor pins list and position: later pages are read as the first one was, whatever has happened since.
 */
export async function syncRooms(
  reading: Reading,
  given: InitialSync,
  args: { first?: number | null; after?: string | null },
  viewsOf: (roomIds: string[]) => Promise<(RoomView | null)[]>,
): Promise<Connection<SyncRoom>> {
  const { userId } = given.requester;
  const after = typeof args.after === "string" ? cursorOf(reading, given, args.after) : null;
  const sync = after === null ? given : { ...given, position: after.position };
  const rooms = after === null ? sync.rooms : await roomsAt(reading, sync, sync.position);
  const list = rooms.filter((room) => room.membership === "join" && hasNews(room, sync)).sort(byActivity);
  const rest = after === null ? list : list.filter((room) => byActivity(after, room) < 0);
  const page = typeof args.first === "number" ? rest.slice(0, checkLimit(args.first, "first")) : rest;
  const views = await viewsOf(page.map((room) => room.roomId));
  return {
    edges: page.flatMap((room, index) => {
      const view = views[index];
      const key = [sync.position, sync.since.position ?? -1, room.activity, room.roomId];
      const cursorOf = (): string => reading.tokens.chunk("sync", userId, key);
      return view ? [lazyEdge({ sync, view, since: newSince(room, sync) }, cursorOf)] : [];
    }),
    hasPreviousPage: after !== null,
    hasNextPage: page.length < rest.length,
    total: () => Promise.resolve(list.length),
  };
}

function cursorOf({ tokens }: Reading, { since, requester }: InitialSync, token: string) {
  const [position, from, activity, roomId] = tokens.readChunk(token, "sync", requester.userId) as [
    number,
    number,
    number,
    string,
  ];
  if (from !== (since.position ?? -1)) throw badInput("after", "belongs to a sync from another stream token");
  return { position, activity, roomId };
}

type Active = Pick<RoomAt, "activity" | "roomId">;

function byActivity(a: Active, b: Active): number {
  return b.activity - a.activity || (a.roomId < b.roomId ? -1 : a.roomId > b.roomId ? 1 : 0);
}

function hasNews(room: RoomAt, { since, stateFilter }: InitialSync): boolean {
  if (since.position === null || room.activity > since.position) return true;
  return room.markersMoved && listsMarkers(stateFilter.selection);
}

/** Rooms that weren't joined at the token's position come whole. */
function newSince(room: RoomAt, { since }: InitialSync): number | null {
  return room.before === "join" ? since.position : null;
}

/** The open invites, the newest first: always all of them. [SYN-2, SYN-5] */
export async function syncInvites({ connection }: Reading, { rooms }: InitialSync): Promise<StoredEvent[]> {
  const positions = rooms.filter((room) => room.membership === "invite").map((room) => room.from);
  const events = await eventsAt(connection, positions);
  return events.sort((a, b) => b.position - a.position);
}

/** In a difference, the rooms that are no longer joined, with the event that ended it. [SYN-2] */
export async function leftRooms({ connection }: Reading, { rooms, since }: InitialSync): Promise<LeftRoom[]> {
  if (since.position === null) return [];
  const left = rooms.filter((room) => room.before === "join" && room.membership !== "join");
  const events = await eventsAt(
    connection,
    left.flatMap((room) => room.joinEnded ?? []),
  );
  return left.map(({ roomId }) => ({ roomId, event: events.find((event) => event.roomId === roomId) ?? null }));
}
