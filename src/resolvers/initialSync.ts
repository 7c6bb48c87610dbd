import {
  initialSync,
  leftRooms,
  syncInvites,
  syncRooms,
  syncToken,
  type InitialSync as SyncShape,
  type SyncRoom as SyncRoomShape,
} from "../domain/sync/initialSync.ts";
import type { AnyEvent } from "../model/event.ts";
import { passes, patternsOf } from "../model/patterns.ts";
import { builder, usualPage } from "../schema/builder.ts";
import type { Context } from "../schema/context.ts";
import { connectionType } from "../schema/connections.ts";
import { StateConnection } from "../schema/eventConnection.ts";
import { LeftRoom } from "../schema/leftRoom.ts";
import { Presence } from "../schema/presence.ts";
import { Event, EventConnection, Invite, Room } from "../schema/refs.ts";
import { domainOf, loadersOfSync, signedIn } from "./context.ts";
import { FilterInput } from "./filters.ts";

interface CompactShape {
  events: AnyEvent[];
  timeline: string[];
  state: string[];
}

const CompactRoom = builder.objectRef<CompactShape>("CompactRoom").implement({
  fields: (t) => ({
    events: t.field({ type: [Event], resolve: ({ events }) => events }),
    timeline: t.exposeIDList("timeline"),
    state: t.exposeIDList("state"),
  }),
});

/** Makes a part of a room when its turn has come: a sync may have a thousand of them. */
async function piece<Part>(context: Context, make: () => Part): Promise<Part> {
  await context.pace.turn();
  return make();
}

const SyncRoom = builder.objectRef<SyncRoomShape>("SyncRoom");
SyncRoom.implement({
  fields: (t) => ({
    room: t.field({ type: Room, resolve: ({ view }) => view }),
    incremental: t.boolean({
      description:
        "False when more than `limit` events happened: then `timeline` is a fresh page and `state` is whole.",
      resolve: async (room, _args, context) => (await loadersOfSync(context).difference(room)).incremental,
    }),
    state: t.field({
      type: StateConnection,
      description: "Current state, or in an incremental room the slots that changed, deleted ones included.",
      args: { first: t.arg.int(), after: t.arg({ type: "ChunkToken" }) },
      complexity: usualPage.state,
      resolve: async (room, args, context) => piece(context, await loadersOfSync(context).state(room, args)),
    }),
    timeline: t.field({
      type: EventConnection,
      description: "`pageInfo.startCursor` scrolls further back.",
      complexity: { ...usualPage.events, multiplier: 20 },
      resolve: async (room, _args, context) => piece(context, (await loadersOfSync(context).difference(room)).timeline),
    }),
    changed: t.field({
      type: EventConnection,
      description: "Messages from before `stream` that were updated or redacted since. [SYN-11]",
      args: {
        first: t.arg.int({ required: true, defaultValue: 100 }),
        after: t.arg({ type: "ChunkToken" }),
      },
      complexity: usualPage.changed,
      resolve: (room, args, context) => loadersOfSync(context).changed(room, args),
    }),
    compact: t.field({
      type: CompactRoom,
      description: "The same without any event twice: every event once, and ids in order. [SYN-8]",
      async resolve(room, _args, context): Promise<CompactShape> {
        const load = loadersOfSync(context);
        const [difference, whole] = await Promise.all([load.difference(room), load.state(room, {})]);
        await context.pace.turn();
        const timeline = difference.timeline().edges.map(({ node }) => node);
        const held = whole().edges.map(({ node }) => node);
        const events = new Map([...timeline, ...held].map((event) => [event.eventId, event]));
        const ids = (list: AnyEvent[]): string[] => list.map((event) => event.eventId);
        return { events: [...events.values()], timeline: ids(timeline), state: ids(held) };
      },
    }),
  }),
});
const SyncRoomConnection = connectionType<SyncRoomShape>("SyncRoom", SyncRoom, { paced: true });

const InitialSync = builder.objectRef<SyncShape>("InitialSync").implement({
  fields: (t) => ({
    stream: t.field({
      type: "StreamToken",
      description: "Give it to eventStream, and to the next initialSync.",
      resolve: (sync, _args, context) => syncToken(domainOf(context).reading, sync),
    }),
    incremental: t.boolean({ resolve: ({ since }) => since.position !== null }),
    rooms: t.field({
      type: SyncRoomConnection,
      description:
        "Joined rooms, the most recently active first; in a difference only those with news. `after` keeps the first page's position and list. [SYN-6]",
      args: { first: t.arg.int(), after: t.arg({ type: "ChunkToken" }) },
      complexity: usualPage.rooms,
      resolve: (sync, args, context) =>
        syncRooms(domainOf(context).reading, sync, args, (roomIds) => Promise.all(roomIds.map(context.load.room))),
    }),
    invites: t.field({
      type: [Invite],
      description: "Always complete.",
      resolve: async (sync, _args, context) =>
        (await syncInvites(domainOf(context).reading, sync)).map((event) => ({ event })),
    }),
    left: t.field({
      type: [LeftRoom],
      description: "In a difference: rooms no longer joined.",
      resolve: (sync, _args, context) => leftRooms(domainOf(context).reading, sync),
    }),
    presence: t.field({
      type: [Presence],
      description:
        "Of the users that token and filter take in, whom the viewer shares a room with: all who aren't offline, in a difference, too. [SYN-4]",
      async resolve({ requester, since, filter }, _args, context) {
        const users = patternsOf(filter.definition.users);
        const around = await domainOf(context).presence.around(requester.userId, since.token.users ?? undefined);
        return around.filter(({ userId }) => passes(users, userId));
      },
    }),
  }),
});

builder.queryField("initialSync", (t) =>
  t.field({
    type: InitialSync,
    nullable: true,
    description: "Everything a client needs on start, or the difference since `stream`. [SYN]",
    args: {
      stream: t.arg({ type: "StreamToken" }),
      filter: t.arg({
        type: "FilterToken",
        description: "Applied to the timeline events, message and state, of each room.",
      }),
      stateFilter: t.arg({ type: "FilterToken", description: "Applied to the current state of each room." }),
      limit: t.arg.int({
        description: "Timeline events per room, 0 allowed. Omitted: tweak.limit, else the filter's limit, else 20.",
      }),
      tweak: t.arg({
        type: FilterInput,
        description: "Overrides single fields of `filter` for this call; null lifts one. [FIL-4]",
      }),
    },
    // Long timelines cost more; their usual length is counted with their fields.
    complexity: ({ limit }) => ({ field: 1, multiplier: Math.max(1, (limit ?? 20) / 100) }),
    resolve: (_root, args, context) => initialSync(domainOf(context).reading, signedIn(context), args),
  }),
);
