import type { RegistrationTokenShape, UserAccountShape } from "../model/account.ts";
import { builder } from "./builder.ts";
import { connectionType } from "./connections.ts";
import { User } from "./refs.ts";

export const UserAccount = builder.objectRef<UserAccountShape>("UserAccount").implement({
  description: "An account as admins see it.",
  fields: (t) => ({
    user: t.field({ type: User, resolve: ({ userId }) => ({ kind: "USER" as const, userId }) }),
    admin: t.exposeBoolean("admin"),
    createdAt: t.expose("createdAt", { type: "DateTime" }),
    deactivatedAt: t.expose("deactivatedAt", {
      type: "DateTime",
      nullable: true,
      description: "Since when nobody can sign in.",
    }),
    deactivationReason: t.exposeString("deactivationReason", { nullable: true }),
    lastSeenAt: t.expose("lastSeenAt", {
      type: "DateTime",
      nullable: true,
      description: "When one of its devices was used last, to the minute.",
    }),
    deviceCount: t.exposeInt("deviceCount"),
  }),
});

export const UserAccountConnection = connectionType<UserAccountShape>("UserAccount", UserAccount);

export const RegistrationToken = builder.objectRef<RegistrationTokenShape>("RegistrationToken").implement({
  description: "Lets people register where registration is by token. [ACC-5]",
  fields: (t) => ({
    token: t.exposeString("token"),
    createdAt: t.expose("createdAt", { type: "DateTime" }),
    expiresAt: t.expose("expiresAt", { type: "DateTime", nullable: true }),
    usesLeft: t.exposeInt("usesLeft", { nullable: true, description: "Null: any number." }),
  }),
});
