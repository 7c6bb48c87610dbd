import type { Domain } from "../../../domain/domain.ts";
import { unreadCounts } from "../../../domain/reading/markers.ts";
import { olderForms, olderFormsById, olderState } from "../../../domain/reading/olderForm.ts";
import { stateConnections } from "../../../domain/reading/roomStates.ts";
import { stateInSlots } from "../../../domain/reading/state.ts";
import { accessToRooms } from "../../../domain/reading/views.ts";
import { differences, type Difference } from "../../../domain/sync/difference.ts";
import {
  leftRooms,
  syncInvites,
  syncRooms,
  type InitialSync,
  type SyncRoom,
} from "../../../domain/sync/initialSync.ts";
import { contentOf, emptyStateKey, type StoredEvent } from "../../../model/event.ts";
import { markerKindOf } from "../../../model/marker.ts";
import { profileType } from "../../../model/profile.ts";

type Json = Record<string, unknown>;

/** A joined room in the form of this API. */
export interface JoinedRoom {
  state: { events: Json[] };
  timeline: { events: Json[]; limited: boolean; prev_batch?: string };
  ephemeral: { events: Json[] };
  account_data: { events: Json[] };
  unread_notifications?: { notification_count: number; highlight_count: number };
}

/** What a sync brings of rooms, in the form of this API. */
export interface SyncedRooms {
  join: Map<string, JoinedRoom>;
  invite: Map<string, { invite_state: { events: Json[] } }>;
  leave: Map<string, { timeline: { events: Json[]; limited: boolean }; state: { events: Json[] } }>;
}

/**
 * Reads the rooms of a sync: joined ones with news, new invites, and what was left. `whole`: with all state in any case;
 * `receipts`: whether a room's are wanted.
 */
export async function syncedRooms(
  domain: Domain,
  sync: InitialSync,
  { whole, receipts }: { whole: boolean; receipts: (roomId: string) => boolean },
): Promise<SyncedRooms> {
  const { reading } = domain;
  const { userId } = sync.requester;
  const viewsOf = async (roomIds: string[]) => {
    const access = await accessToRooms(reading.connection, userId, roomIds);
    return roomIds.map((roomId) => access.get(roomId)?.view ?? null);
  };
  const rooms = (await syncRooms(reading, sync, {}, viewsOf)).edges.map(({ node }) => node);
  const { position: upTo, limit, filter } = sync;
  const found = await differences(reading, rooms, { upTo, limit, filter });
  const states = await stateConnections(
    reading,
    rooms.map(({ view, since }, index) => ({
      view,
      at: upTo,
      since: whole || !found[index]!.incremental ? null : since,
    })),
    { filter: sync.stateFilter, markers: "sync" },
  );
  const unread = await unreadCounts(
    reading,
    userId,
    rooms.map(({ view }) => view),
  );
  const parts = rooms.map((room, index) => {
    const held = states[index]!().edges.map(({ node }) => node);
    const wanted = receipts(room.view.roomId) ? held : held.filter(({ marker }) => marker === null);
    return partsOf(room, found[index]!, wanted);
  });
  // All at once, so that the number of statements doesn't depend on that of the rooms.
  const told = await olderFormsById(
    reading.connection,
    parts.flatMap(({ state, timeline }) => [...state, ...timeline]),
    {
      ...{ serverName: domain.server.name, now: domain.tools.clock.now() },
    },
  );
  const tell = (events: readonly StoredEvent[]): Json[] =>
    events.flatMap(({ eventId }) => {
      const json = told.get(eventId);
      return json === undefined ? [] : [json];
    });
  const join = new Map<string, JoinedRoom>();
  for (const [index, part] of parts.entries()) {
    const { roomId, state, timeline, limited, prevBatch } = part;
    if (!part.isNews) continue;
    const { count, highlight } = unread[index]!;
    join.set(roomId, {
      state: { events: tell(state) },
      timeline: { events: tell(timeline), limited, prev_batch: prevBatch },
      ephemeral: { events: part.receipts === null ? [] : [part.receipts] },
      account_data: { events: [] },
      unread_notifications: { notification_count: count, highlight_count: highlight },
    });
  }
  return { join, invite: await invites(domain, sync), leave: await left(domain, sync) };
}

/** What there is to tell of a joined room; `isNews` is false where the filters let through nothing that happened. */
function partsOf({ view, since }: SyncRoom, difference: Difference, held: readonly StoredEvent[]) {
  const page = difference.timeline();
  const timeline = page.edges.flatMap(({ node }) => (node.kind === "EPHEMERAL" ? [] : [node]));
  const markers = held.filter(({ marker }) => marker !== null);
  // What the timeline tells is told there.
  const told = new Set(timeline.map(({ eventId }) => eventId));
  const slots = held.filter(({ marker }) => marker === null);
  const members = new Set(slots.flatMap(({ type, stateKey }) => (type === "m.room.member" ? [stateKey] : [])));
  // Where the membership is as it was, the change of a profile stands for it.
  const changed = slots.filter(({ type, stateKey }) => type === profileType && !members.has(stateKey));
  const state = [...olderState(slots), ...changed].filter(({ eventId }) => !told.has(eventId));
  return {
    roomId: view.roomId,
    isNews: since === null || timeline.length + state.length + markers.length > 0,
    ...{ state, timeline },
    limited: since === null ? page.hasPreviousPage : !difference.incremental,
    prevBatch: page.edges[0]?.cursor ?? page.start ?? "",
    receipts: receiptsOf(markers),
  };
}

/** Those that are new since the token. What a guest may know of the room comes with each. [SYN-5] */
async function invites(domain: Domain, sync: InitialSync): Promise<SyncedRooms["invite"]> {
  const since = sync.since.position ?? -1;
  const events = (await syncInvites(domain.reading, sync)).filter(({ position }) => position > since);
  const types = ["m.room.name", "m.room.topic", "m.room.avatar", "m.room.join_rules"];
  const slots = events.flatMap(({ roomId }) =>
    types.map((type) => ({ roomId, type, stateKey: emptyStateKey, until: null })),
  );
  const state = slots.length === 0 ? [] : (await stateInSlots(domain.reading, slots)).filter((event) => event !== null);
  const found: SyncedRooms["invite"] = new Map();
  for (const event of events) {
    const shown = [...state.filter(({ roomId }) => roomId === event.roomId), event];
    const told = await olderEvents(domain, shown);
    const stripped = told.map(({ type, state_key, sender, content }) => ({ type, state_key, sender, content }));
    found.set(event.roomId, { invite_state: { events: stripped } });
  }
  return found;
}

async function left(domain: Domain, sync: InitialSync): Promise<SyncedRooms["leave"]> {
  const found: SyncedRooms["leave"] = new Map();
  for (const { roomId, event } of await leftRooms(domain.reading, sync)) {
    const events = event === null ? [] : await olderEvents(domain, [event]);
    found.set(roomId, { timeline: { events, limited: false }, state: { events: [] } });
  }
  return found;
}

/** Events in the older form, in their order. */
export function olderEvents({ reading, server, tools }: Domain, events: readonly StoredEvent[]): Promise<Json[]> {
  return olderForms(reading.connection, events, { serverName: server.name, now: tools.clock.now() });
}

/** Read markers as receipts: by event, by how they are shown, by user. [ACT-11] */
function receiptsOf(markers: readonly StoredEvent[]): Json | null {
  const read = markers.filter(({ type }) => markerKindOf(type) === "read");
  if (read.length === 0) return null;
  const content: Record<string, Record<string, Json>> = {};
  for (const marker of read) {
    const eventId = String(contentOf(marker)?.["event_id"]);
    const kind = marker.marker === "own" ? "m.read.private" : "m.read";
    const ofKind = ((content[eventId] ??= {})[kind] ??= {});
    ofKind[marker.stateKey ?? ""] = { ts: marker.sentAt };
  }
  return { type: "m.receipt", content };
}
