import type { RoomView } from "../model/room.ts";
import { isRoomId } from "../model/ids.ts";
import { roomNotFound } from "../model/errors.ts";
import type { Connection } from "../model/connection.ts";
import type { AnyEvent } from "../model/event.ts";
import { builder, pageCost } from "../schema/builder.ts";
import { EventConnection, StateConnection } from "../schema/event.ts";
import { Room } from "../schema/refs.ts";
import { domainOf, signedIn } from "./context.ts";

interface ScrollbackShape {
  room: RoomView;
  /** The page, read once for all fields that tell of it. */
  page: () => Promise<Connection<AnyEvent>>;
  /** The head when the reading began: what comes later comes down the stream. [EVS-3] */
  position: number;
}

const Scrollback = builder.objectRef<ScrollbackShape>("Scrollback").implement({
  fields: (t) => ({
    room: t.field({ type: Room, resolve: ({ room }) => room }),
    events: t.field({
      type: EventConnection,
      complexity: { field: 0, multiplier: 1 },
      resolve: ({ page }) => page(),
    }),
    state: t.field({
      type: StateConnection,
      args: { first: t.arg.int(), after: t.arg({ type: "ChunkToken" }) },
      resolve: ({ room }, { first, after }, context) =>
        context.load.stateConnection(room, { first: first ?? 100, after }),
    }),
    incremental: t.boolean({ resolve: () => false }),
    stream: t.field({
      type: "StreamToken",
      description: "A token for this room alone, at this position. [SCR-2]",
      resolve({ room, position }, _args, context) {
        const { userId, deviceId } = signedIn(context);
        return domainOf(context).tokens.stream({ userId, deviceId, rooms: [room.roomId], users: null, position });
      },
    }),
    moreLocally: t.boolean({
      resolve: async ({ page }) => (await page()).hasPreviousPage,
    }),
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
      backfill: t.arg.boolean({
        required: true,
        defaultValue: false,
        description: "Ask other servers for history that this one lacks.",
      }),
    },
    complexity: pageCost(20),
    async resolve(_root, { roomId, first, after, last, before }, context) {
      signedIn(context);
      const { position } = domainOf(context).head;
      const room = isRoomId(roomId) ? await context.load.room(roomId) : null;
      if (room === null) throw roomNotFound();
      let page: Promise<Connection<AnyEvent>> | null = null;
      const paging = { first, after, last, before };
      return { room, position, page: () => (page ??= context.load.timeline(room, paging, position)) };
    },
  }),
);
