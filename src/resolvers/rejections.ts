import { rejectEvent, type Rejection } from "../domain/actions/rejectEvent.ts";
import { builder } from "../schema/builder.ts";
import { MessageEvent, StateEvent } from "../schema/refs.ts";
import { run } from "./actions.ts";

const RejectEventInput = builder.inputType("RejectEventInput", {
  fields: (t) => ({
    eventId: t.id({ required: true }),
    reason: t.string(),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

const RejectEventPayload = builder.objectRef<Rejection & { actionId: string | null }>("RejectEventPayload").implement({
  fields: (t) => ({
    redaction: t.field({ type: MessageEvent, resolve: ({ redaction }) => redaction }),
    restored: t.field({
      type: StateEvent,
      nullable: true,
      description: "For state that held its slot: the event that restores what was there before.",
      resolve: ({ restored }) => restored,
    }),
    actionId: t.exposeString("actionId", { nullable: true }),
  }),
});

builder.mutationField("rejectEvent", (t) =>
  t.field({
    type: RejectEventPayload,
    nullable: true,
    description: "Admins: an event turned out not to have been allowed. [EVS-7]",
    args: { input: t.arg({ type: RejectEventInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      ...(await run(context, rejectEvent, input)),
      actionId: input.actionId ?? null,
    }),
  }),
);
