import type { AccessTokenShape, DeviceShape } from "../model/account.ts";
import { builder } from "./builder.ts";
import { Node } from "./node.ts";
import { DeviceSigningKey, User } from "./refs.ts";

const AccessToken = builder.objectRef<AccessTokenShape>("AccessToken").implement({
  description: "An access token as shown to its owner: never the secret itself.",
  fields: (t) => ({
    id: t.exposeID("id"),
    createdAt: t.expose("createdAt", { type: "DateTime" }),
    lastUsedAt: t.expose("lastUsedAt", { type: "DateTime", nullable: true }),
  }),
});

export const Device = builder.objectRef<DeviceShape>("Device").implement({
  description: "A device of a user, as shown to that user and to admins. [ACC-2]",
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
      description: "The one that it is signed in with; none after that was revoked.",
      resolve: (device, _args, context) => context.load.accessTokens(device),
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
function deviceNodeId({ userId, deviceId }: Pick<DeviceShape, "userId" | "deviceId">): string {
  return `device_${Buffer.from(JSON.stringify([userId, deviceId])).toString("base64url")}`;
}
