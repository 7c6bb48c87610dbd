import type { PresenceShape } from "../model/presence.ts";
import { builder } from "./builder.ts";
import { PresenceState } from "./enums.ts";
import { User } from "./refs.ts";

export const Presence = builder.objectRef<PresenceShape>("Presence").implement({
  fields: (t) => ({
    user: t.field({ type: User, resolve: ({ userId }) => ({ kind: "USER" as const, userId }) }),
    state: t.expose("state", { type: PresenceState }),
    status: t.exposeString("status", { nullable: true }),
    lastActiveAt: t.expose("lastActiveAt", { type: "DateTime", nullable: true }),
    capabilityHashes: t.exposeStringList("capabilityHashes"),
  }),
});
