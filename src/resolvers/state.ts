import { deleteState } from "../domain/actions/deleteState.ts";
import { setState, setStates } from "../domain/actions/setStates.ts";
import { emptyStateKey } from "../model/event.ts";
import { builder } from "../schema/builder.ts";
import { Room, StateEvent } from "../schema/refs.ts";
import { roomOf } from "../schema/room.ts";
import { actionField, run, statePayload, type ActedBatch } from "./actions.ts";

export const StateInput = builder.inputType("StateInput", {
  fields: (t) => ({
    type: t.string({ required: true }),
    stateKey: t.string({ required: true, defaultValue: emptyStateKey }),
    content: t.field({ type: "JSONObject", required: true }),
  }),
});

const SetStateInput = builder.inputType("SetStateInput", {
  fields: (t) => ({
    roomId: t.id({ required: true }),
    type: t.string({ required: true }),
    stateKey: t.string({ required: true, defaultValue: emptyStateKey }),
    content: t.field({ type: "JSONObject", required: true }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

const SetStatesInput = builder.inputType("SetStatesInput", {
  fields: (t) => ({
    roomId: t.id({ required: true }),
    states: t.field({ type: [StateInput], required: true }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

const SetStatesPayload = builder.objectRef<ActedBatch>("SetStatesPayload").implement({
  fields: (t) => ({
    events: t.field({ type: [StateEvent], resolve: ({ events }) => events }),
    room: t.field({ type: Room, resolve: ({ events }, _args, context) => roomOf(events[0]!, context) }),
    actionId: t.exposeString("actionId", { nullable: true }),
  }),
});

const DeleteStateInput = builder.inputType("DeleteStateInput", {
  fields: (t) => ({
    roomId: t.id({ required: true }),
    type: t.string({ required: true }),
    stateKey: t.string({ required: true, defaultValue: emptyStateKey }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

actionField("setState", statePayload("SetStatePayload"), SetStateInput, setState);
actionField("deleteState", statePayload("DeleteStatePayload"), DeleteStateInput, deleteState);

builder.mutationField("setStates", (t) =>
  t.field({
    type: SetStatesPayload,
    nullable: true,
    description: "All or nothing. [ACT-7]",
    args: { input: t.arg({ type: SetStatesInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      events: await run(context, setStates, input),
      actionId: input.actionId ?? null,
    }),
  }),
);
