import { z } from "zod";
import { check } from "../../model/check.ts";
import { candidates } from "../../model/content/calls.ts";
import type { StoredEvent } from "../../model/event.ts";
import { clientChosenId, userId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { commonInput, type ActionTools } from "./act.ts";
import { sendSignal } from "./sendSignal.ts";

const sendCallCandidatesInput = z.strictObject({
  ...commonInput,
  callId: z.string(),
  candidates,
  toUserId: userId.nullish(),
  toDeviceId: clientChosenId.nullish(),
});

/**
 * Sends ICE candidates as they appear: from the device that placed the call, and from the callee's devices that answered or,
 * after the acknowledgement, the chosen one. They may name the device that they are for. [VOIP-4] Throws `NOT_FOUND`,
 * `FORBIDDEN`, `CALL_ENDED`, `TOO_LARGE`.
 */
export function sendCallCandidates(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(sendCallCandidatesInput, given);
  const { candidates, toUserId, toDeviceId } = input;
  const content = {
    candidates,
    ...(toUserId ? { to_user_id: toUserId } : {}),
    ...(toDeviceId ? { to_device_id: toDeviceId } : {}),
  };
  return sendSignal(tools, requester, { name: "sendCallCandidates", type: "m.call.candidates", input, content });
}
