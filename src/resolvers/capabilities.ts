import type { CapabilitySet } from "../model/capabilities.ts";
import type { PresenceShape } from "../model/presence.ts";
import { builder } from "../schema/builder.ts";
import { Presence } from "../schema/presence.ts";
import { domainOf, signedIn } from "./context.ts";

const Capabilities = builder.objectRef<CapabilitySet>("Capabilities").implement({
  description: "A set of capabilities, such as `m.cap.turnserver.v1`, with what is to be known of each. [CAP]",
  fields: (t) => ({
    hash: t.exposeString("hash", { description: "SHA-256 of the set's canonical JSON, in unpadded base64." }),
    set: t.field({ type: "JSONObject", resolve: ({ json }) => JSON.parse(json) as Record<string, unknown> }),
  }),
});

const AnnounceCapabilitiesInput = builder.inputType("AnnounceCapabilitiesInput", {
  fields: (t) => ({ hash: t.string({ required: true }) }),
});
const AnnounceCapabilitiesPayload = builder.objectRef<PresenceShape>("AnnounceCapabilitiesPayload").implement({
  fields: (t) => ({ presence: t.field({ type: Presence, resolve: (presence) => presence }) }),
});
const UploadCapabilitiesInput = builder.inputType("UploadCapabilitiesInput", {
  fields: (t) => ({
    set: t.field({ type: "JSONObject", required: true }),
    hash: t.string({ description: "Refused unless it is the set's own." }),
  }),
});
const UploadCapabilitiesPayload = builder.objectRef<CapabilitySet>("UploadCapabilitiesPayload").implement({
  fields: (t) => ({ capabilities: t.field({ type: Capabilities, resolve: (set) => set }) }),
});

builder.queryField("capabilities", (t) =>
  t.field({
    type: Capabilities,
    nullable: true,
    description:
      "A capability set by its hash. Without `userId`: one of the server's own; with it, one that the viewer sees in the user's presence. [CAP-2, CAP-4]",
    args: { hash: t.arg.string({ required: true }), userId: t.arg.id() },
    resolve: (_root, { hash, userId }, context) =>
      domainOf(context).capabilities.find(context.requester, hash, userId ?? null),
  }),
);

builder.mutationFields((t) => ({
  announceCapabilities: t.field({
    type: AnnounceCapabilitiesPayload,
    nullable: true,
    description:
      "What this device can do, until its session ends. Refused with UNKNOWN_CAPABILITIES until the set behind the hash has been uploaded once. [CAP-3, PRE-5]",
    args: { input: t.arg({ type: AnnounceCapabilitiesInput, required: true }) },
    async resolve(_root, { input }, context) {
      const { sessions, capabilities, presence } = domainOf(context);
      const requester = signedIn(context);
      await sessions.request(requester, null);
      await capabilities.announce(requester, input.hash);
      return presence.own(requester.userId);
    },
  }),
  uploadCapabilities: t.field({
    type: UploadCapabilitiesPayload,
    nullable: true,
    description: "Sets are kept by their hash for whoever announces it. [CAP-3]",
    args: { input: t.arg({ type: UploadCapabilitiesInput, required: true }) },
    resolve: (_root, { input }, context) =>
      domainOf(context).capabilities.upload(signedIn(context), input.set, input.hash ?? null),
  }),
}));
