import { setProfile } from "../domain/actions/setProfile.ts";
import type { StoredEvent } from "../model/event.ts";
import { builder } from "../schema/builder.ts";
import { Member, StateEvent, User } from "../schema/refs.ts";
import { run } from "./actions.ts";
import { domainOf, signedIn } from "./context.ts";

const SetProfileInput = builder.inputType("SetProfileInput", {
  description: "Without roomId: the global profile, shown in every room for what it has none of its own.",
  fields: (t) => ({
    key: t.string({ required: true, description: "`displayname`, `avatar_url` or anything else." }),
    value: t.field({ type: "JSON", description: "Null removes the key." }),
    roomId: t.id(),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

interface ProfileSet {
  userId: string;
  roomId: string | null;
  event: StoredEvent | null;
  actionId: string | null;
}

const SetProfilePayload = builder.objectRef<ProfileSet>("SetProfilePayload").implement({
  fields: (t) => ({
    user: t.field({ type: User, resolve: ({ userId }) => ({ kind: "USER" as const, userId }) }),
    member: t.field({
      type: Member,
      nullable: true,
      description: "In the room whose profile was set.",
      async resolve({ userId, roomId }, _args, context) {
        const room = roomId === null ? null : await context.load.room(roomId);
        return room && context.load.member(room, userId);
      },
    }),
    event: t.field({
      type: StateEvent,
      nullable: true,
      description: "Of the room whose profile was set; the global one reaches rooms in the background. [PRO-5]",
      resolve: ({ event }) => event,
    }),
    actionId: t.exposeString("actionId", { nullable: true }),
  }),
});

builder.mutationField("setProfile", (t) =>
  t.field({
    type: SetProfilePayload,
    nullable: true,
    description: "Sets a key of one's profile, the global one or a room's. [PRO]",
    args: { input: t.arg({ type: SetProfileInput, required: true }) },
    resolve: async (_root, { input }, context): Promise<ProfileSet> => {
      const { profileSpread } = domainOf(context);
      const event = await run(context, (tools, ...rest) => setProfile(tools, ...rest, profileSpread), input);
      const { userId } = signedIn(context);
      return { userId, roomId: input.roomId ?? null, event, actionId: input.actionId ?? null };
    },
  }),
);
