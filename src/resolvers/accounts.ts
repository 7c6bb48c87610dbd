import type { Requester } from "../model/requester.ts";
import type { SignedIn } from "../domain/accounts.ts";
import { builder } from "../schema/builder.ts";
import type { Context } from "../schema/context.ts";
import { Viewer } from "../schema/viewer.ts";
import { loadAnew, domainOf, originOf, signedIn } from "./context.ts";

const RegisterInput = builder.inputType("RegisterInput", {
  fields: (t) => ({
    username: t.string({ required: true }),
    password: t.string({ required: true }),
    deviceId: t.string({ required: true }),
    deviceName: t.string(),
    registrationToken: t.string(),
  }),
});
const LoginInput = builder.inputType("LoginInput", {
  fields: (t) => ({
    username: t.string({ required: true }),
    password: t.string({ required: true }),
    deviceId: t.string({ required: true }),
    deviceName: t.string(),
  }),
});
const ChangePasswordInput = builder.inputType("ChangePasswordInput", {
  fields: (t) => ({
    password: t.string({ required: true }),
    newPassword: t.string({ required: true }),
    logoutOtherDevices: t.boolean({ required: true, defaultValue: true }),
  }),
});

const RegisterPayload = signedInPayload("RegisterPayload");
const LoginPayload = signedInPayload("LoginPayload");
const LogoutPayload = builder.objectRef<Requester>("LogoutPayload").implement({
  fields: (t) => ({ deviceId: t.exposeString("deviceId") }),
});
const ChangePasswordPayload = builder.objectRef<Requester>("ChangePasswordPayload").implement({
  fields: (t) => ({ viewer: t.field({ type: Viewer, resolve: (requester) => requester }) }),
});

function signedInPayload(name: string) {
  return builder.objectRef<SignedIn>(name).implement({
    fields: (t) => ({
      viewer: t.field({ type: Viewer, resolve: ({ requester }) => requester }),
      accessToken: t.exposeString("accessToken", {
        description: "Shown this once: send it as `Authorization: Bearer …`.",
      }),
    }),
  });
}

/** The rest of the document sees the new viewer: fields below the payload are theirs. */
function becomes(context: Context, signed: SignedIn): SignedIn {
  context.requester = signed.requester;
  loadAnew(context);
  return signed;
}

builder.mutationType({
  fields: (t) => ({
    register: t.field({
      type: RegisterPayload,
      nullable: true,
      args: { input: t.arg({ type: RegisterInput, required: true }) },
      resolve: async (_root, { input }, context) =>
        becomes(context, await domainOf(context).accounts.register(input, originOf(context))),
    }),
    login: t.field({
      type: LoginPayload,
      nullable: true,
      args: { input: t.arg({ type: LoginInput, required: true }) },
      resolve: async (_root, { input }, context) =>
        becomes(context, await domainOf(context).accounts.login(input, originOf(context))),
    }),
    logout: t.field({
      type: LogoutPayload,
      nullable: true,
      async resolve(_root, _args, context) {
        const requester = signedIn(context);
        await domainOf(context).accounts.logout(requester);
        context.requester = null;
        return requester;
      },
    }),
    changePassword: t.field({
      type: ChangePasswordPayload,
      nullable: true,
      args: { input: t.arg({ type: ChangePasswordInput, required: true }) },
      async resolve(_root, { input }, context) {
        const requester = signedIn(context);
        await domainOf(context).accounts.changePassword(requester, input, originOf(context));
        return requester;
      },
    }),
  }),
});
