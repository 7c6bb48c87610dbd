import type { Marker as MarkerShape, MarkerKind as Kind } from "../model/marker.ts";
import { builder, pageCost } from "./builder.ts";
import { connectionType } from "./connections.ts";
import { MarkerKind } from "./enums.ts";
import { Node } from "./node.ts";
import { Event, Room, User } from "./refs.ts";

/** The node id of a marker: opaque to clients. */
function markerId({ roomId, userId, kind, private: hidden }: MarkerShape): string {
  return `marker_${Buffer.from(JSON.stringify([roomId, userId, kind, hidden ? "private" : "public"])).toString("base64url")}`;
}

export const Marker = builder.objectRef<MarkerShape>("Marker").implement({
  description: "How far a user has received or read a room. It moves forward only. [ACT-11]",
  interfaces: [Node],
  isTypeOf: (value) => "markedId" in (value as object),
  fields: (t) => ({
    id: t.id({ resolve: markerId }),
    user: t.field({ type: User, resolve: ({ userId }) => ({ kind: "USER" as const, userId }) }),
    room: t.field({ type: Room, resolve: async ({ roomId }, _args, context) => (await context.load.room(roomId))! }),
    kind: t.field({ type: MarkerKind, resolve: ({ kind }) => kind }),
    eventId: t.exposeID("markedId", { description: "The last event that it covers." }),
    event: t.field({
      type: Event,
      nullable: true,
      description: "Null where the viewer may not see it.",
      resolve: ({ markedId }, _args, context) => context.load.event(markedId),
    }),
    setAt: t.field({ type: "DateTime", resolve: ({ setAt }) => setAt }),
    private: t.exposeBoolean("private", { description: "Shown to the user's own devices alone." }),
  }),
});

const MarkerConnection = connectionType<MarkerShape>("Marker", Marker);

const UnreadCount = builder.objectRef<{ count: number; highlight: number }>("UnreadCount").implement({
  description: "Messages by others after the read marker, and those of them that mention the viewer. [ACT-11]",
  fields: (t) => ({ count: t.exposeInt("count"), highlight: t.exposeInt("highlight") }),
});

builder.objectFields(Room, (t) => ({
  viewerMarker: t.field({
    type: Marker,
    nullable: true,
    description: "The furthest of the viewer's markers of a kind, private or not.",
    args: { kind: t.arg({ type: MarkerKind, required: true, defaultValue: "read" as Kind }) },
    resolve: (room, { kind }, context) => context.load.marker(room, room.viewer, kind),
  }),
  markers: t.field({
    type: MarkerConnection,
    description: "Everybody's markers, of one kind or all; of the viewer the furthest.",
    args: {
      kind: t.arg({ type: MarkerKind }),
      first: t.arg.int({ required: true, defaultValue: 50 }),
      after: t.arg({ type: "ChunkToken" }),
    },
    complexity: pageCost(50),
    resolve: (room, args, context) => context.load.markers(room, args),
  }),
  unread: t.field({
    type: UnreadCount,
    description: "Counting ends at the newest 2,000 events.",
    resolve: (room, _args, context) => context.load.unread(room),
  }),
}));
