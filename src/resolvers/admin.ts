import type { InputObjectRef, ObjectRef } from "@pothos/core";
import type { Admin } from "../domain/admin.ts";
import type { RegistrationTokenShape, UserAccountShape } from "../model/account.ts";
import type { Requester } from "../model/requester.ts";
import { builder, pageCost, type Types } from "../schema/builder.ts";
import { RegistrationToken, UserAccount, UserAccountConnection } from "../schema/userAccount.ts";
import { domainOf, signedIn } from "./context.ts";

builder.queryField("users", (t) =>
  t.field({
    type: UserAccountConnection,
    nullable: true,
    description: "Admins: the server's accounts, by user id; `search` is a part of it.",
    args: {
      search: t.arg.string(),
      includeDeactivated: t.arg.boolean({ required: true, defaultValue: true }),
      first: t.arg.int({ required: true, defaultValue: 50 }),
      after: t.arg({ type: "ChunkToken" }),
    },
    complexity: pageCost(50),
    resolve: (_root, args, context) => domainOf(context).admin.users(signedIn(context), args),
  }),
);

builder.queryField("registrationTokens", (t) =>
  t.field({
    type: [RegistrationToken],
    nullable: true,
    description: "Admins: tokens that let people register, the newest first; without those of the settings. [ACC-5]",
    resolve: (_root, _args, context) => domainOf(context).admin.registrationTokens(signedIn(context)),
  }),
);

const DeactivateUserInput = builder.inputType("DeactivateUserInput", {
  fields: (t) => ({ userId: t.id({ required: true }), reason: t.string() }),
});
const ReactivateUserInput = builder.inputType("ReactivateUserInput", {
  fields: (t) => ({ userId: t.id({ required: true }) }),
});
const ResetPasswordInput = builder.inputType("ResetPasswordInput", {
  fields: (t) => ({
    userId: t.id({ required: true }),
    newPassword: t.string({ required: true }),
    logoutDevices: t.boolean({ required: true, defaultValue: true }),
  }),
});
const SetUserAdminInput = builder.inputType("SetUserAdminInput", {
  fields: (t) => ({ userId: t.id({ required: true }), admin: t.boolean({ required: true }) }),
});
const CreateRegistrationTokenInput = builder.inputType("CreateRegistrationTokenInput", {
  fields: (t) => ({
    token: t.string({ description: "Made up by the server when it isn't given." }),
    uses: t.int({ description: "How many may register with it; any number when it isn't given." }),
    expiresAt: t.field({ type: "DateTime" }),
  }),
});
const DeleteRegistrationTokenInput = builder.inputType("DeleteRegistrationTokenInput", {
  fields: (t) => ({ token: t.string({ required: true }) }),
});

function accountPayload(name: string) {
  return builder.objectRef<UserAccountShape>(name).implement({
    fields: (t) => ({ account: t.field({ type: UserAccount, resolve: (account) => account }) }),
  });
}
const CreateRegistrationTokenPayload = builder
  .objectRef<RegistrationTokenShape>("CreateRegistrationTokenPayload")
  .implement({
    fields: (t) => ({ registrationToken: t.field({ type: RegistrationToken, resolve: (token) => token }) }),
  });
const DeleteRegistrationTokenPayload = builder
  .objectRef<{ token: string; deleted: boolean }>("DeleteRegistrationTokenPayload")
  .implement({
    fields: (t) => ({
      token: t.exposeString("token"),
      deleted: t.exposeBoolean("deleted", { description: "False when there was no such token." }),
    }),
  });

/** Adds a mutation that is the domain's act of the same name. */
function adminField<Shape>(
  name: string,
  payload: ObjectRef<Types, Shape>,
  inputType: InputObjectRef<Types, object>,
  act: (admin: Admin) => (requester: Requester, input: unknown) => Promise<Shape>,
  description: string,
): void {
  builder.mutationField(name, (t) =>
    t.field({
      type: payload,
      nullable: true,
      description,
      args: { input: t.arg({ type: inputType, required: true }) },
      resolve: (_root, { input }, context) => act(domainOf(context).admin)(signedIn(context), input) as never,
    }),
  );
}

adminField(
  "deactivateUser",
  accountPayload("DeactivateUserPayload"),
  DeactivateUserInput,
  (admin) => admin.deactivateUser,
  "Admins: nobody can sign in to the account any more, and its tokens end. Name, rooms and messages stay.",
);
adminField(
  "reactivateUser",
  accountPayload("ReactivateUserPayload"),
  ReactivateUserInput,
  (admin) => admin.reactivateUser,
  "Admins: the account can be used again, with the password that it had.",
);
adminField(
  "resetPassword",
  accountPayload("ResetPasswordPayload"),
  ResetPasswordInput,
  (admin) => admin.resetPassword,
  "Admins: sets a user's password, and ends the user's tokens unless told otherwise.",
);
adminField(
  "setUserAdmin",
  accountPayload("SetUserAdminPayload"),
  SetUserAdminInput,
  (admin) => admin.setUserAdmin,
  "Admins: makes a user an admin, or takes that away; it counts at once.",
);
adminField(
  "createRegistrationToken",
  CreateRegistrationTokenPayload,
  CreateRegistrationTokenInput,
  (admin) => admin.createRegistrationToken,
  "Admins: a token that lets people register where registration is by token. [ACC-5]",
);
adminField(
  "deleteRegistrationToken",
  DeleteRegistrationTokenPayload,
  DeleteRegistrationTokenInput,
  (admin) => admin.deleteRegistrationToken,
  "Admins: nobody can register with the token any more. [ACC-5]",
);
