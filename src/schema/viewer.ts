import type { Requester } from "../model/requester.ts";
import { builder, pageCost } from "./builder.ts";
import { TurnServer } from "./call.ts";
import { Membership } from "./enums.ts";
import { Device } from "./device.ts";
import { MediaConnection, MediaUsage } from "./media.ts";
import { Call, Invite, User } from "./refs.ts";
import { RoomConnection } from "./room.ts";
import { Session } from "./session.ts";

export const Viewer = builder.objectRef<Requester>("Viewer").implement({
  description: "The signed-in user, on the device whose access token was shown.",
  fields: (t) => ({
    user: t.field({ type: User, resolve: ({ userId }) => ({ kind: "USER" as const, userId }) }),
    device: t.field({ type: Device, resolve: ({ deviceId }, _args, context) => context.load.device(deviceId) }),
    session: t.field({
      type: Session,
      nullable: true,
      description: "Of the device: null when it was ended by the same document.",
      resolve: (_viewer, _args, context) => context.load.session(),
    }),
    admin: t.exposeBoolean("admin"),
    appearOffline: t.boolean({
      description: "The viewer has chosen to look to others as if offline. [PRE-2]",
      resolve: (_viewer, _args, context) => context.load.appearOffline(),
    }),
    rooms: t.field({
      type: RoomConnection,
      description: "The viewer's rooms, the latest change of membership first.",
      args: {
        membership: t.arg({ type: [Membership], required: true, defaultValue: ["join"] }),
        first: t.arg.int({ required: true, defaultValue: 50 }),
        after: t.arg({ type: "ChunkToken" }),
      },
      complexity: pageCost(50),
      resolve: (_viewer, args, context) => context.load.viewerRooms({ ...args, membership: [...args.membership] }),
    }),
    media: t.field({
      type: MediaConnection,
      description: "The files that the viewer has uploaded, the newest first. [AS-14]",
      args: { first: t.arg.int({ required: true, defaultValue: 50 }), after: t.arg({ type: "ChunkToken" }) },
      complexity: pageCost(50),
      resolve: (_viewer, args, context) => context.load.viewerMedia(args),
    }),
    mediaUsage: t.field({ type: MediaUsage, resolve: (_viewer, _args, context) => context.load.mediaUsage() }),
    activeCalls: t.field({
      type: [Call],
      description: "The viewer's calls that haven't ended, the oldest first.",
      resolve: (_viewer, _args, context) => context.load.viewerCalls(),
    }),
    turnServers: t.field({
      type: [TurnServer],
      description: "Time-limited TURN credentials, when a TURN server is configured. [VOIP-8]",
      resolve: (_viewer, _args, context) => context.load.turnServers(),
    }),
    invites: t.field({
      type: [Invite],
      resolve: async (_viewer, _args, context) => (await context.load.invites()).map((event) => ({ event })),
    }),
  }),
});
