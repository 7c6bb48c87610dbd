import { createRoom } from "../domain/actions/createRoom.ts";
import { joinRoom } from "../domain/actions/joinRoom.ts";
import { builder } from "../schema/builder.ts";
import type { Context } from "../schema/context.ts";
import { HistoryVisibility, JoinRule } from "../schema/enums.ts";
import { run } from "./actions.ts";
import { enteredPayload, readResponse, ResponseInput, type Entered } from "./response.ts";
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
    response: t.field({ type: ResponseInput }),
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
    response: t.field({ type: ResponseInput }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

const CreateRoomPayload = enteredPayload("CreateRoomPayload");
const JoinRoomPayload = enteredPayload("JoinRoomPayload");

builder.mutationField("createRoom", (t) =>
  t.field({
    type: CreateRoomPayload,
    nullable: true,
    args: { input: t.arg({ type: CreateRoomInput, required: true }) },
    resolve: (_root, { input }, context) => enter(createRoom, input, context),
  }),
);

builder.mutationField("joinRoom", (t) =>
  t.field({
    type: JoinRoomPayload,
    nullable: true,
    args: { input: t.arg({ type: JoinRoomInput, required: true }) },
    resolve: (_root, { input }, context) => enter(joinRoom, input, context),
  }),
);

/** The response shapes the answer alone: the same action with another one is still the same action. [ACT-2] */
async function enter(
  action: typeof createRoom,
  { response, ...input }: { response?: Parameters<typeof readResponse>[0]; actionId?: string | null },
  context: Context,
): Promise<Entered> {
  const asked = readResponse(response, context);
  return { event: await run(context, action, input), actionId: input.actionId ?? null, asked };
}
