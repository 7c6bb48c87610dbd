import { z } from "zod";
import type { SignalType } from "../call.ts";
import { jsonObject, plainText } from "../check.ts";
import { clientChosenId, userId } from "../ids.ts";
import { reader, type ContentReader } from "./reader.ts";

const description = z.object({ type: z.string(), sdp: z.string() });
const optional = z.string().nullish().catch(null);
const common = { call_id: z.string(), device_id: optional };

function signal<T extends z.ZodRawShape>(
  typename: string,
  shape: T,
  fields: (content: Record<string, unknown>) => Record<string, unknown>,
): ContentReader {
  return reader(typename, z.object({ ...common, ...shape }), (content) => {
    const given = content as Record<string, unknown>;
    return { callId: given["call_id"], senderDeviceId: given["device_id"], ...fields(given) };
  });
}

/** Readers for the contents of call signalling. [VOIP-9] */
export const callReaders: Record<string, ContentReader> = {
  "m.call.invite": signal(
    "CallInviteContent",
    { offer: description, lifetime: z.int32().positive() },
    ({ offer, lifetime }) => ({ offer, lifetimeMs: lifetime }),
  ),
  "m.call.answer": signal("CallAnswerContent", { answer: description }, ({ answer }) => ({ answer })),
  "m.call.ack": signal(
    "CallAckContent",
    { accepted_user_id: z.string(), accepted_device_id: z.string() },
    (content) => ({
      acceptedUserId: content["accepted_user_id"],
      acceptedDeviceId: content["accepted_device_id"],
    }),
  ),
  "m.call.reject": signal("CallRejectContent", { reason: optional }, ({ reason }) => ({ reason })),
  "m.call.candidates": signal(
    "CallCandidatesContent",
    { candidates: z.array(z.record(z.string(), z.unknown())), to_user_id: optional, to_device_id: optional },
    (content) => ({
      candidates: content["candidates"],
      toUserId: content["to_user_id"],
      toDeviceId: content["to_device_id"],
    }),
  ),
  "m.call.hangup": signal("CallHangupContent", { reason: optional }, ({ reason }) => ({ reason })),
};

/** How long an invite may ring, in milliseconds. */
export const lifetime = z.int().min(1, "is no time").max(3_600_000, "is longer than an hour");
export const offer = z.strictObject({ type: z.literal("offer"), sdp: z.string().min(1, "is empty") });
export const answer = z.strictObject({ type: z.literal("answer"), sdp: z.string().min(1, "is empty") });
export const candidates = z.array(jsonObject).min(1, "is empty").max(100, "holds more than 100 candidates");
const reason = plainText.max(1000, "is longer than 1000 characters");
/** What only the server says of how a call ended. [VOIP-5, VOIP-7] */
const serversReasons = ["rejected", "expired", "session_ended", "glare"];
export const rejectReason = reason.nullish();
export const hangupReason = reason
  .refine((text) => !serversReasons.includes(text), "is what only the server says")
  .nullish();

/** Contents that the signals of a call must have when somebody sends them. [VOIP-9] */
export const signalContents: Readonly<Record<SignalType, z.ZodType>> = {
  "m.call.invite": z.looseObject({ offer, lifetime }),
  "m.call.answer": z.looseObject({ answer }),
  "m.call.reject": z.looseObject({ reason: rejectReason }),
  "m.call.ack": z.looseObject({ accepted_user_id: userId, accepted_device_id: clientChosenId }),
  "m.call.candidates": z.looseObject({
    candidates,
    to_user_id: userId.nullish(),
    to_device_id: clientChosenId.nullish(),
  }),
  "m.call.hangup": z.looseObject({ reason: hangupReason }),
};
