import { z } from "zod";
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
