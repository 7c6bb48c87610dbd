import { builder } from "../schema/builder.ts";
import { Room } from "../schema/refs.ts";
import { roomOf } from "../schema/room.ts";
import { domainOf, signedIn } from "./context.ts";

const SetTypingInput = builder.inputType("SetTypingInput", {
  fields: (t) => ({
    roomId: t.id({ required: true }),
    typing: t.boolean({ required: true }),
    timeoutMs: t.int({
      required: true,
      defaultValue: 30_000,
      description: "It ends by itself after so many milliseconds, unless it is said again.",
    }),
  }),
});
const SetTypingPayload = builder.objectRef<{ roomId: string }>("SetTypingPayload").implement({
  fields: (t) => ({
    room: t.field({ type: Room, resolve: (payload, _args, context) => roomOf(payload, context) }),
  }),
});

builder.mutationField("setTyping", (t) =>
  t.field({
    type: SetTypingPayload,
    nullable: true,
    description:
      "Typing ends with its time, with the session, and when the user's message arrives. [TYP-1] Whoever is joined learns of it.",
    args: { input: t.arg({ type: SetTypingInput, required: true }) },
    async resolve(_root, { input }, context) {
      const { sessions, typing } = domainOf(context);
      const requester = signedIn(context);
      await sessions.request(requester, null);
      await typing.set(requester, input);
      return { roomId: input.roomId };
    },
  }),
);
