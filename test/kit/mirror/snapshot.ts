import type { Domain } from "../../../src/domain/domain.ts";
import { changedSince } from "../../../src/domain/reading/changed.ts";
import { updatesOf } from "../../../src/domain/reading/relations.ts";
import { stateConnections } from "../../../src/domain/reading/roomStates.ts";
import { accessToRooms } from "../../../src/domain/reading/views.ts";
import { differences } from "../../../src/domain/sync/difference.ts";
import {
  initialSync,
  leftRooms,
  syncInvites,
  syncRooms,
  syncToken,
  type InitialSync,
  type SyncRoom,
} from "../../../src/domain/sync/initialSync.ts";
import type { StoredEvent } from "../../../src/model/event.ts";
import type { Requester } from "../../../src/model/requester.ts";
import type { RoomView } from "../../../src/model/room.ts";
import { entryOf, isStored, type Entry } from "./entry.ts";

/** What an initial sync answers, as a client reads it. [SYN] */
export interface Snapshot {
  /** The successor of the token that was given. */
  stream: string;
  rooms: RoomSnapshot[];
  /** Always complete. */
  invites: StoredEvent[];
  left: string[];
}

export interface RoomSnapshot {
  roomId: string;
  /** False: state and timeline are whole. */
  incremental: boolean;
  state: StoredEvent[];
  timeline: Entry[];
  /** Whether the room has more than the timeline holds. */
  moreBefore: boolean;
  /** Messages from before the token that were updated or redacted since. [SYN-11] */
  changed: Entry[];
}

/** Takes an initial sync with all that it offers, by the functions that resolve it. */
export async function takeSnapshot(
  domain: Domain,
  requester: Requester,
  args: { stream: string | null; limit: number },
): Promise<Snapshot> {
  const { reading } = domain;
  const sync = await initialSync(reading, requester, args);
  const viewsOf = async (roomIds: string[]): Promise<(RoomView | null)[]> => {
    const access = await accessToRooms(reading.connection, requester.userId, roomIds);
    return roomIds.map((roomId) => access.get(roomId)?.view ?? null);
  };
  const page = await syncRooms(reading, sync, {}, viewsOf);
  const rooms = page.edges.map(({ node }) => node);
  return {
    stream: syncToken(reading, sync),
    rooms: rooms.length === 0 ? [] : await readRooms(domain, sync, rooms),
    // A statement less where there are none, of which the simulation takes thousands.
    invites: sync.rooms.some(({ membership }) => membership === "invite") ? await syncInvites(reading, sync) : [],
    left: (await leftRooms(reading, sync)).map(({ roomId }) => roomId),
  };
}

async function readRooms({ reading }: Domain, sync: InitialSync, rooms: readonly SyncRoom[]): Promise<RoomSnapshot[]> {
  const { position, limit, filter, stateFilter } = sync;
  const found = await differences(reading, rooms, { upTo: position, limit, filter });
  const states = await stateConnections(
    reading,
    rooms.map(({ view, since }, index) => ({ view, at: position, since: found[index]!.incremental ? since : null })),
    { filter: stateFilter, markers: "sync" },
  );
  const changes = await Promise.all(rooms.map((room) => changedEvents({ reading }, sync, room)));
  const timelines = found.map(({ timeline }) => timeline());
  const events = timelines.map(({ edges }) => edges.map(({ node }) => node).filter(isStored));
  const parents = rooms.flatMap(({ view }, index) =>
    [...events[index]!, ...changes[index]!].map((event) => ({ event, view })),
  );
  const updates = await updatesOf(reading, parents);
  const updatesById = new Map(parents.map(({ event }, index) => [event.eventId, updates[index]!]));
  const withUpdates = (event: StoredEvent): Entry => entryOf(event, updatesById.get(event.eventId));
  return rooms.map(({ view }, index) => ({
    roomId: view.roomId,
    incremental: found[index]!.incremental,
    state: states[index]!().edges.map(({ node }) => node),
    timeline: events[index]!.map(withUpdates),
    moreBefore: timelines[index]!.hasPreviousPage,
    changed: changes[index]!.map(withUpdates),
  }));
}

/** All pages of them. */
async function changedEvents(
  { reading }: Pick<Domain, "reading">,
  { position, filter }: InitialSync,
  { view, since }: SyncRoom,
): Promise<StoredEvent[]> {
  if (since === null) return [];
  const events: StoredEvent[] = [];
  for (let after: string | null = null; ;) {
    const [page] = await changedSince(reading, [{ view, since, upTo: position }], { filter, first: 100, after });
    events.push(...page!.edges.map(({ node }) => node).filter(isStored));
    after = page!.edges.at(-1)?.cursor ?? null;
    if (!page!.hasNextPage || after === null) return events;
  }
}
