import type { Requester } from "../model/requester.ts";
import { builder, pageCost } from "./builder.ts";
import type { AccessTokenShape, DeviceShape } from "../model/account.ts";
import { TurnServer } from "./call.ts";
import { Membership } from "./enums.ts";
import { Node } from "./node.ts";
import { Call, DeviceSigningKey, Invite, User } from "./refs.ts";
import { RoomConnection } from "./room.ts";
import { Session } from "./session.ts";

const AccessToken = builder.objectRef<AccessTokenShape>("AccessToken").implement({
  description: "An access token as shown to its owner: never the secret itself.",
  fields: (t) => ({
    id: t.exposeID("id"),
    createdAt: t.expose("createdAt", { type: "DateTime" }),
    lastUsedAt: t.expose("lastUsedAt", { type: "DateTime", nullable: true }),
  }),
});

const Device = builder.objectRef<DeviceShape>("Device").implement({
  interfaces: [Node],
  isTypeOf: (value) => "deviceId" in (value as object) && "lastSeenAt" in (value as object),
  fields: (t) => ({
    id: t.id({ resolve: (device) => deviceNodeId(device) }),
    deviceId: t.exposeString("deviceId"),
    user: t.field({ type: User, resolve: ({ userId }) => ({ kind: "USER" as const, userId }) }),
    name: t.exposeString("name", { nullable: true }),
    createdAt: t.expose("createdAt", { type: "DateTime" }),
    lastSeenAt: t.expose("lastSeenAt", { type: "DateTime", nullable: true }),
    lastSeenIp: t.exposeString("lastSeenIp", { nullable: true }),
    userAgent: t.exposeString("userAgent", { nullable: true }),
    accessTokens: t.field({
      type: [AccessToken],
      resolve: ({ deviceId }, _args, context) => context.load.accessTokens(deviceId),
    }),
    signingKeys: t.field({
      type: [DeviceSigningKey],
      description: "Public keys that this device signs messages with. [ACT-13]",
      async resolve({ userId, deviceId }, _args, context) {
        return (await context.load.signingKeys(userId)).filter((key) => key.deviceId === deviceId);
      },
    }),
  }),
});

/** The node id of a device: opaque to clients. */
export function deviceNodeId({ userId, deviceId }: { userId: string; deviceId: string }): string {
  return `device_${Buffer.from(JSON.stringify([userId, deviceId])).toString("base64url")}`;
}

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
