import type { PublishedPage, PublishedRoomShape } from "../model/publishedRoom.ts";
import { builder } from "./builder.ts";
import { connectionType } from "./connections.ts";
import { Membership } from "./enums.ts";

const PublishedRoom = builder.objectRef<PublishedRoomShape>("PublishedRoom").implement({
  description: "What everybody may know of a published room, as it is now.",
  fields: (t) => ({
    id: t.exposeID("roomId"),
    name: t.exposeString("name", { nullable: true }),
    topic: t.exposeString("topic", { nullable: true }),
    avatarMxc: t.exposeString("avatar", { nullable: true }),
    aliases: t.exposeIDList("aliases"),
    memberCount: t.exposeInt("members", { description: "Users who are joined." }),
    viewerMembership: t.expose("viewerMembership", { type: Membership, nullable: true }),
  }),
});

export const PublishedRoomConnection = connectionType<PublishedRoomShape>("PublishedRoom", PublishedRoom);

builder.objectField(PublishedRoomConnection, "page", (t) =>
  t.int({
    description: "The number of the page, from 1, as pages of this size go.",
    // Only `publishedRooms` gives these connections.
    resolve: (parent) => (parent as PublishedPage).page,
  }),
);
