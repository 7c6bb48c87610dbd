import { createRoom } from "../domain/actions/createRoom.ts";
import { joinRoom } from "../domain/actions/joinRoom.ts";
import { builder } from "../schema/builder.ts";
import { HistoryVisibility, JoinRule } from "../schema/enums.ts";
import { actionField, statePayload } from "./actions.ts";
import { StateInput } from "./state.ts";

const CreateRoomInput = builder.inputType("CreateRoomInput", {
  fields: (t) => ({
    invite: t.idList(),
    published: t.boolean({ required: true, defaultValue: false }),
    joinRule: t.field({ type: JoinRule }),
    historyVisibility: t.field({ type: HistoryVisibility }),
    name: t.string(),
    topic: t.string(),
    alias: t.string(),
    state: t.field({ type: [StateInput] }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

const JoinTarget = builder.inputType("JoinTarget", {
  isOneOf: true,
  fields: (t) => ({ roomId: t.id(), alias: t.id(), inviteEventId: t.id() }),
});

const JoinRoomInput = builder.inputType("JoinRoomInput", {
  fields: (t) => ({
    target: t.field({ type: JoinTarget, required: true }),
    servers: t.stringList(),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

actionField("createRoom", statePayload("CreateRoomPayload"), CreateRoomInput, createRoom);
actionField("joinRoom", statePayload("JoinRoomPayload"), JoinRoomInput, joinRoom);
