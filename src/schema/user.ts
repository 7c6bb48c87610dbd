import type { UserId } from "../model/ids.ts";
import type { StoredEvent } from "../model/event.ts";
import { contentOf } from "../model/event.ts";
import { builder } from "./builder.ts";
import type { Context } from "./context.ts";
import { urlOf } from "./media.ts";
import { Node } from "./node.ts";
import { Presence } from "./presence.ts";
import { DeviceSigningKey, StateEvent, User } from "./refs.ts";

/** A profile in a room, or the global one where the room shows none. */
export interface ProfileShape {
  userId: UserId;
  /** By which the room shows the profile; null where it tells none, as of who was never in it. [PRO-3] */
  event: StoredEvent | null;
}

User.implement({
  interfaces: [Node],
  isTypeOf: (value) => (value as { kind?: string }).kind === "USER",
  fields: (t) => ({
    id: t.exposeID("userId"),
    displayName: t.string({
      nullable: true,
      resolve: async ({ userId }, _args, context) => text((await context.load.profile(userId))["displayname"]),
    }),
    avatarMxc: t.string({
      nullable: true,
      resolve: async ({ userId }, _args, context) => text((await context.load.profile(userId))["avatar_url"]),
    }),
    avatarUrl: t.string({
      nullable: true,
      description: "The absolute address of the avatar, or of a thumbnail of about this size.",
      args: { width: t.arg.int(), height: t.arg.int() },
      resolve: async ({ userId }, size, context) =>
        urlOf(text((await context.load.profile(userId))["avatar_url"]), size, "crop", context),
    }),
    profileValues: t.field({
      type: "JSONObject",
      description: "The global profile: all keys, or those named. [PRO-1]",
      args: { keys: t.arg.stringList() },
      async resolve({ userId }, { keys }, context) {
        const values = Object.entries(await context.load.profile(userId));
        return Object.fromEntries(values.filter(([key]) => !keys || keys.includes(key)));
      },
    }),
    presence: t.field({
      type: Presence,
      nullable: true,
      description: "Null unless the viewer may see it. [PRE-4]",
      resolve: ({ userId }, _args, context) => context.load.presence(userId),
    }),
    signingKeys: t.field({
      type: [DeviceSigningKey],
      description: "Public keys that the user's devices sign messages with, the oldest first. [ACT-13]",
      resolve: ({ userId }, _args, context) => context.load.signingKeys(userId),
    }),
  }),
});

DeviceSigningKey.implement({
  description: "An Ed25519 key of a device, by which anybody verifies what its user signed. [ACT-13]",
  fields: (t) => ({
    deviceId: t.string({
      nullable: true,
      description: "Only on the viewer's own keys.",
      resolve: ({ userId, deviceId }, _args, { requester }) => (requester?.userId === userId ? deviceId : null),
    }),
    keyId: t.exposeString("keyId"),
    publicKey: t.exposeString("publicKey", { description: "Unpadded base64." }),
    createdAt: t.expose("createdAt", { type: "DateTime" }),
  }),
});

export const Profile = builder.objectRef<ProfileShape>("Profile");

Profile.implement({
  fields: (t) => ({
    displayName: t.string({
      nullable: true,
      resolve: (shape, _args, context) => profileText(shape, "displayname", context),
    }),
    avatarMxc: t.string({
      nullable: true,
      resolve: (shape, _args, context) => profileText(shape, "avatar_url", context),
    }),
    event: t.field({ type: StateEvent, nullable: true, resolve: (shape) => shape.event }),
  }),
});

/** A key of what the room shows of a user, else of their global profile: an event holds what is global as well. [PRO-2] */
export async function profileText({ userId, event }: ProfileShape, key: string, context: Context) {
  const profile = event === null ? await context.load.profile(userId) : contentOf(event);
  return text(profile?.[key]);
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
