import { publishedRooms, publishRoom } from "../domain/publishedRooms.ts";
import { builder, pageCost } from "../schema/builder.ts";
import { PublishedRoomConnection } from "../schema/publishedRoom.ts";
import { Room } from "../schema/refs.ts";
import { roomOf } from "../schema/room.ts";
import { run } from "./actions.ts";
import { domainOf, signedIn } from "./context.ts";

builder.queryField("publishedRooms", (t) =>
  t.field({
    type: PublishedRoomConnection,
    nullable: true,
    description:
      "Published rooms, those with most members first; `search` is a part of an alias, the name or the topic, in any case. Without `after` it takes a snapshot, which can be paged through for ten minutes. [DIR-1, DIR-3]",
    args: {
      search: t.arg.string(),
      server: t.arg.string({ description: "This server, which asks no others." }),
      first: t.arg.int({ required: true, defaultValue: 30 }),
      after: t.arg({ type: "ChunkToken" }),
    },
    complexity: pageCost(30),
    resolve: (_root, args, context) => publishedRooms(domainOf(context).tools, signedIn(context), args),
  }),
);

const PublishRoomInput = builder.inputType("PublishRoomInput", {
  fields: (t) => ({ roomId: t.id({ required: true }), published: t.boolean({ required: true }) }),
});

const PublishRoomPayload = builder.objectRef<{ roomId: string; published: boolean }>("PublishRoomPayload").implement({
  fields: (t) => ({
    room: t.field({ type: Room, resolve: (published, _args, context) => roomOf(published, context) }),
    roomId: t.exposeID("roomId", { description: "For admins who can't see the room." }),
    published: t.exposeBoolean("published"),
  }),
});

builder.mutationField("publishRoom", (t) =>
  t.field({
    type: PublishRoomPayload,
    nullable: true,
    description: "Lists a room among the published ones, or no more; for its operators and admins. [DIR-4]",
    args: { input: t.arg({ type: PublishRoomInput, required: true }) },
    resolve: (_root, { input }, context) => run(context, publishRoom, input),
  }),
);
