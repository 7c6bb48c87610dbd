import { changedSince } from "../domain/reading/changed.ts";
import { stateConnection } from "../domain/reading/roomStates.ts";
import { successor } from "../domain/sync/difference.ts";
import { recalledScrollback, scrollback, type Scrollback as ScrollbackShape } from "../domain/sync/scrollback.ts";
import { isRoomId } from "../model/ids.ts";
import { roomNotFound } from "../model/errors.ts";
import type { RoomView } from "../model/room.ts";
import { builder, usualPage } from "../schema/builder.ts";
import type { Context } from "../schema/context.ts";
import { StateConnection } from "../schema/eventConnection.ts";
import { EventConnection, Room } from "../schema/refs.ts";
import { domainOf, knowRoom, signedIn } from "./context.ts";
import { FilterInput } from "./filters.ts";

const Scrollback = builder.objectRef<ScrollbackShape>("Scrollback").implement({
  fields: (t) => ({
    room: t.field({ type: Room, resolve: ({ view }) => view }),
    events: t.field({
      type: EventConnection,
      complexity: usualPage.events,
      resolve: ({ events }) => events,
    }),
    state: t.field({
      type: StateConnection,
      description: "Current state. [SCR-1]",
      args: { first: t.arg.int(), after: t.arg({ type: "ChunkToken" }) },
      complexity: usualPage.state,
      resolve({ view, position, stateFilter }, args, context) {
        const room = { view, at: position, since: null };
        return stateConnection(domainOf(context).reading, room, { ...args, filter: stateFilter, markers: "sync" });
      },
    }),
    incremental: t.exposeBoolean("incremental"),
    changed: t.field({
      type: EventConnection,
      description: "Messages from before `stream` that were updated or redacted since.",
      args: {
        first: t.arg.int({ required: true, defaultValue: 100 }),
        after: t.arg({ type: "ChunkToken" }),
      },
      complexity: usualPage.changed,
      async resolve({ view, since, position, filter }, args, context) {
        const rooms = [{ view, since: since.position, upTo: position }];
        const [changed] = await changedSince(domainOf(context).reading, rooms, { ...args, filter });
        return changed!;
      },
    }),
    stream: t.field({
      type: "StreamToken",
      description: "A token for this room alone, at this position. The one given stays valid for all rooms. [SCR-2]",
      resolve({ view, since, position }, _args, context) {
        const token = { ...since.token, rooms: [view.roomId] };
        return successor(domainOf(context).tokens, { ...since, token }, position);
      },
    }),
    moreLocally: t.boolean({ resolve: ({ events }) => events.hasPreviousPage }),
    moreRemotely: t.boolean({
      description: "There is no other server to ask. [SCR-4]",
      resolve: () => false,
    }),
  }),
});

builder.queryField("scrollback", (t) =>
  t.field({
    type: Scrollback,
    nullable: true,
    description: "Open a room, or scroll it. Without paging arguments: the newest page. [SCR]",
    args: {
      roomId: t.arg.id({ required: true }),
      first: t.arg.int(),
      after: t.arg({ type: "ChunkToken" }),
      last: t.arg.int(),
      before: t.arg({ type: "ChunkToken" }),
      stream: t.arg({
        type: "StreamToken",
        description:
          "Only what is new since it, or a fresh page when that is more than a page. Not together with after or before.",
      }),
      filter: t.arg({ type: "FilterToken" }),
      stateFilter: t.arg({ type: "FilterToken" }),
      backfill: t.arg.boolean({
        required: true,
        defaultValue: false,
        description: "Ask other servers for history that this one lacks.",
      }),
      tweak: t.arg({ type: FilterInput }),
    },
    // Its events are counted as a page of 50.
    complexity: ({ first, last }) => ({ field: 1, multiplier: Math.max(1, (first ?? last ?? 20) / 50) }),
    async resolve(_root, { roomId, ...args }, context) {
      const requester = signedIn(context);
      const { reading } = domainOf(context);
      const recalled = await recalledScrollback(reading, requester, roomId, args);
      if (recalled !== null) {
        knowRoom(context, recalled.access);
        return recalled.opened;
      }
      const view = await visibleRoom(roomId, context);
      reading.views.remember(view);
      return scrollback(reading, requester, view, args);
    },
  }),
);

/** A room that the requester may see, else `NOT_FOUND`. [EV-9] */
export async function visibleRoom(roomId: string, context: Context): Promise<RoomView> {
  signedIn(context);
  const view = isRoomId(roomId) ? await context.load.room(roomId) : null;
  if (view === null) throw roomNotFound();
  return view;
}
