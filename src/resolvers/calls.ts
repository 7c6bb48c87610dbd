import type { ActionTools } from "../domain/actions/act.ts";
import { acknowledgeCall } from "../domain/actions/acknowledgeCall.ts";
import { answerCall } from "../domain/actions/answerCall.ts";
import { hangupCall } from "../domain/actions/hangupCall.ts";
import { placeCall } from "../domain/actions/placeCall.ts";
import { rejectCall } from "../domain/actions/rejectCall.ts";
import { sendCallCandidates } from "../domain/actions/sendCallCandidates.ts";
import { SignalStream, type CallSignal as CallSignalShape } from "../domain/calls/signalStream.ts";
import { callOfSignal, type CallView } from "../model/call.ts";
import { callNotFound } from "../model/errors.ts";
import type { StoredEvent } from "../model/event.ts";
import type { Requester } from "../model/requester.ts";
import { builder } from "../schema/builder.ts";
import type { Context } from "../schema/context.ts";
import { Call, MessageEvent } from "../schema/refs.ts";
import { actionField, type Acted } from "./actions.ts";
import { domainOf, loadAnew, signedIn } from "./context.ts";
import { Pulled } from "./pulled.ts";

const SessionDescriptionInput = builder.inputType("SessionDescriptionInput", {
  description: "As WebRTC has it: type `offer` or `answer`.",
  fields: (t) => ({ type: t.string({ required: true }), sdp: t.string({ required: true }) }),
});

const PlaceCallInput = builder.inputType("PlaceCallInput", {
  fields: (t) => ({
    roomId: t.id({ required: true }),
    offer: t.field({ type: SessionDescriptionInput, required: true }),
    lifetimeMs: t.int({
      required: true,
      defaultValue: 60_000,
      description: "How long it rings, up to an hour, before it lapses. [VOIP-5]",
    }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});
const AnswerCallInput = builder.inputType("AnswerCallInput", {
  fields: (t) => ({
    callId: t.id({ required: true }),
    answer: t.field({ type: SessionDescriptionInput, required: true }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});
const RejectCallInput = builder.inputType("RejectCallInput", {
  fields: (t) => ({
    callId: t.id({ required: true }),
    reason: t.string(),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});
const AcknowledgeCallInput = builder.inputType("AcknowledgeCallInput", {
  fields: (t) => ({
    callId: t.id({ required: true }),
    userId: t.id({ required: true }),
    deviceId: t.string({ required: true }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});
const SendCallCandidatesInput = builder.inputType("SendCallCandidatesInput", {
  fields: (t) => ({
    callId: t.id({ required: true }),
    candidates: t.field({ type: ["JSONObject"], required: true }),
    toUserId: t.id({ description: "Whom they are for. [VOIP-4]" }),
    toDeviceId: t.string(),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});
const HangupCallInput = builder.inputType("HangupCallInput", {
  fields: (t) => ({
    callId: t.id({ required: true }),
    reason: t.string({ description: "`hangup` unless given; not what only the server says. [VOIP-9]" }),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

async function shown(callId: string | null, context: Context): Promise<CallView> {
  const call = callId === null ? null : await context.load.call(callId);
  if (call === null) throw callNotFound();
  return call;
}

function signalPayload(name: string) {
  return builder.objectRef<Acted>(name).implement({
    fields: (t) => ({
      call: t.field({ type: Call, resolve: ({ event }, _args, context) => shown(callOfSignal(event), context) }),
      event: t.field({ type: MessageEvent, resolve: ({ event }) => event }),
      actionId: t.exposeString("actionId", { nullable: true }),
    }),
  });
}

function signalField(
  name: string,
  input: Parameters<typeof actionField>[2],
  action: (tools: ActionTools, requester: Requester, input: unknown) => Promise<StoredEvent>,
  description: string,
): void {
  const payload = signalPayload(`${name[0]!.toUpperCase()}${name.slice(1)}Payload`);
  actionField(name, payload, input, action, description);
}

signalField("placeCall", PlaceCallInput, placeCall, "Calls the other one in a room of two. [VOIP-1]");
signalField("answerCall", AnswerCallInput, answerCall, "Any device of the callee may answer. [VOIP-2]");
signalField("rejectCall", RejectCallInput, rejectCall, "Any device of the callee may reject. [VOIP-2]");
signalField(
  "acknowledgeCall",
  AcknowledgeCallInput,
  acknowledgeCall,
  "The caller picks one of the devices that answered or rejected; the first acknowledgement wins. [VOIP-2]",
);
signalField(
  "sendCallCandidates",
  SendCallCandidatesInput,
  sendCallCandidates,
  "ICE candidates, as they appear. [VOIP-4]",
);
signalField("hangupCall", HangupCallInput, hangupCall, "Ends a call. [VOIP-3]");

builder.queryField("call", (t) =>
  t.field({
    type: Call,
    nullable: true,
    args: { id: t.arg.id({ required: true }) },
    resolve(_root, { id }, context) {
      signedIn(context);
      return shown(id, context);
    },
  }),
);

const CallSignal = builder.objectRef<CallSignalShape>("CallSignal").implement({
  fields: (t) => ({
    call: t.field({ type: Call, resolve: ({ callId }, _args, context) => shown(callId, context) }),
    event: t.field({ type: MessageEvent, resolve: ({ event }) => event }),
  }),
});

builder.subscriptionField("callSignals", (t) =>
  t.field({
    type: CallSignal,
    description:
      "The signals of the viewer's calls, of all or of one room or call. Starts with the signals of calls that are live already.",
    args: { roomId: t.arg.id(), callId: t.arg.id() },
    async subscribe(_root, { roomId, callId }, context) {
      const requester = signedIn(context);
      const wish = { roomId: roomId ?? null, callId: callId ?? null };
      const signals = await SignalStream.open(domainOf(context), requester, wish);
      return new Pulled(
        () => signals.next(),
        () => signals.close(),
      );
    },
    resolve(signal, _args, context) {
      // A stream outlives what was loaded for its earlier signals.
      loadAnew(context);
      return signal;
    },
  }),
);
