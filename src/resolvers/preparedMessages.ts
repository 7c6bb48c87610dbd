import { prepareMessage, sendPreparedMessage, type Prepared } from "../domain/actions/preparedMessages.ts";
import { builder } from "../schema/builder.ts";
import { run } from "./actions.ts";
import { MessageInput, SendMessagePayload } from "./messages.ts";

const PrepareMessageInput = builder.inputType("PrepareMessageInput", {
  fields: (t) => ({
    roomId: t.id({ required: true }),
    message: t.field({ type: MessageInput, required: true }),
  }),
});
const SendPreparedMessageInput = builder.inputType("SendPreparedMessageInput", {
  description:
    "`signatures`: user or server id to key id to unpadded base64, over the canonical JSON of the prepared event.",
  fields: (t) => ({
    prepared: t.string({ required: true }),
    signatures: t.field({ type: "JSONObject", required: true }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

const PrepareMessagePayload = builder.objectRef<Prepared>("PrepareMessagePayload").implement({
  fields: (t) => ({
    prepared: t.exposeString("prepared", { description: "Takes the message back to `sendPreparedMessage`." }),
    json: t.expose("json", { type: "JSONObject", description: "What to sign, as canonical JSON." }),
    expiresAt: t.expose("expiresAt", { type: "DateTime" }),
  }),
});

builder.mutationField("prepareMessage", (t) =>
  t.field({
    type: PrepareMessagePayload,
    nullable: true,
    description: "First phase of sending a signed event: the exact JSON to sign. [ACT-13]",
    args: { input: t.arg({ type: PrepareMessageInput, required: true }) },
    resolve: (_root, { input }, context) => run(context, prepareMessage, input),
  }),
);

builder.mutationField("sendPreparedMessage", (t) =>
  t.field({
    type: SendMessagePayload,
    nullable: true,
    description: "Second phase: stores the event with its signatures. Sent again, it gives the same event. [ACT-13]",
    args: { input: t.arg({ type: SendPreparedMessageInput, required: true }) },
    async resolve(_root, { input }, context) {
      const event = await run(context, sendPreparedMessage, input);
      return { event, actionId: input.actionId ?? event.action?.actionId ?? null };
    },
  }),
);
