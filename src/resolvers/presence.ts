import type { PresenceShape } from "../model/presence.ts";
import type { Requester } from "../model/requester.ts";
import { builder } from "../schema/builder.ts";
import { PresenceState } from "../schema/enums.ts";
import { Presence } from "../schema/presence.ts";
import { Viewer } from "../schema/viewer.ts";
import { domainOf, signedIn } from "./context.ts";

const SetPresenceInput = builder.inputType("SetPresenceInput", {
  fields: (t) => ({ state: t.field({ type: PresenceState, required: true }) }),
});
const SetStatusInput = builder.inputType("SetStatusInput", {
  fields: (t) => ({ status: t.string({ description: "Null or empty: none." }) }),
});
const SetAppearOfflineInput = builder.inputType("SetAppearOfflineInput", {
  fields: (t) => ({ appearOffline: t.boolean({ required: true }) }),
});

const SetPresencePayload = presencePayload("SetPresencePayload");
const SetStatusPayload = presencePayload("SetStatusPayload");
const SetAppearOfflinePayload = builder
  .objectRef<{ requester: Requester; presence: PresenceShape }>("SetAppearOfflinePayload")
  .implement({
    fields: (t) => ({
      viewer: t.field({ type: Viewer, resolve: ({ requester }) => requester }),
      presence: t.field({
        type: Presence,
        description: "The viewer's own, which others see as offline.",
        resolve: ({ presence }) => presence,
      }),
    }),
  });

function presencePayload(name: string) {
  return builder.objectRef<PresenceShape>(name).implement({
    fields: (t) => ({
      presence: t.field({
        type: Presence,
        description: "The viewer's own, of all their devices together.",
        resolve: (presence) => presence,
      }),
    }),
  });
}

builder.mutationFields((t) => ({
  setPresence: t.field({
    type: SetPresencePayload,
    nullable: true,
    description: "This device's presence, until its session ends. [PRE-1, PRE-3]",
    args: { input: t.arg({ type: SetPresenceInput, required: true }) },
    async resolve(_root, { input }, context) {
      const { sessions, presence } = domainOf(context);
      const requester = signedIn(context);
      await sessions.request(requester, null);
      sessions.say(requester, { presence: input.state });
      return presence.own(requester.userId);
    },
  }),
  setStatus: t.field({
    type: SetStatusPayload,
    nullable: true,
    description: "The user's status text, on all devices. [PRE-1]",
    args: { input: t.arg({ type: SetStatusInput, required: true }) },
    resolve: (_root, { input }, context) =>
      domainOf(context).presence.set(signedIn(context), { status: input.status || null }),
  }),
  setAppearOffline: t.field({
    type: SetAppearOfflinePayload,
    nullable: true,
    description: "Whether others see the user as offline. [PRE-2]",
    args: { input: t.arg({ type: SetAppearOfflineInput, required: true }) },
    async resolve(_root, { input }, context) {
      const requester = signedIn(context);
      const presence = await domainOf(context).presence.set(requester, { appearOffline: input.appearOffline });
      return { requester, presence };
    },
  }),
}));
