import { builder } from "../schema/builder.ts";
import { Device } from "../schema/device.ts";
import type { Context } from "../schema/context.ts";
import { domainOf, loadAnew, signedIn } from "./context.ts";

const RemoveDeviceInput = builder.inputType("RemoveDeviceInput", {
  fields: (t) => ({
    userId: t.id({ description: "Admins: anyone. The viewer unless given." }),
    deviceId: t.string({ required: true }),
  }),
});
const RevokeAccessTokenInput = builder.inputType("RevokeAccessTokenInput", {
  fields: (t) => ({
    userId: t.id({ description: "Admins: anyone. The viewer unless given." }),
    tokenId: t.id({ required: true, description: "As `Device.accessTokens` lists it." }),
  }),
});
const RemoveDevicePayload = builder.objectRef<{ userId: string; deviceId: string }>("RemoveDevicePayload").implement({
  fields: (t) => ({ userId: t.exposeID("userId"), deviceId: t.exposeString("deviceId") }),
});
const RevokeAccessTokenPayload = builder
  .objectRef<{ tokenId: string }>("RevokeAccessTokenPayload")
  .implement({ fields: (t) => ({ tokenId: t.exposeID("tokenId") }) });

builder.queryField("devices", (t) =>
  t.field({
    type: [Device],
    nullable: true,
    description: "Devices of a user, the oldest first: the viewer's own, or anyone's for an admin. [ACC-2]",
    args: { userId: t.arg.id() },
    resolve: (_root, { userId }, context) => domainOf(context).devices.list(signedIn(context), userId),
  }),
);

builder.mutationFields((t) => ({
  removeDevice: t.field({
    type: RemoveDevicePayload,
    nullable: true,
    description: "Deletes a device with its token, signing keys and session; its subscriptions end. [ACC-2]",
    args: { input: t.arg({ type: RemoveDeviceInput, required: true }) },
    async resolve(_root, { input }, context) {
      const requester = signedIn(context);
      const removed = await domainOf(context).devices.remove(requester, input);
      const own = removed.userId === requester.userId && removed.deviceId === requester.deviceId;
      settle(context, own);
      return removed;
    },
  }),
  revokeAccessToken: t.field({
    type: RevokeAccessTokenPayload,
    nullable: true,
    description: "Ends an access token with its subscriptions; its device stays, and can log in again. [ACC-2]",
    args: { input: t.arg({ type: RevokeAccessTokenInput, required: true }) },
    async resolve(_root, { input }, context) {
      const requester = signedIn(context);
      const revoked = await domainOf(context).devices.revoke(requester, input);
      settle(context, revoked.tokenId === requester.tokenId);
      return revoked;
    },
  }),
}));

/** What follows in the document sees what was changed; whoever ended what they act with is signed out. */
function settle(context: Context, own: boolean): void {
  if (own) context.requester = null;
  loadAnew(context);
}
