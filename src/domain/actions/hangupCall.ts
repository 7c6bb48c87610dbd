import { z } from "zod";
import { check } from "../../model/check.ts";
import { hangupReason } from "../../model/content/calls.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import { commonInput, type ActionTools } from "./act.ts";
import { sendSignal } from "./sendSignal.ts";

const hangupCallInput = z.strictObject({ ...commonInput, callId: z.string(), reason: hangupReason });

/**
 * Ends a call: from the device that placed it, and from the callee's devices that answered or, after the acknowledgement,
 * the chosen one. [VOIP-3] Throws `NOT_FOUND`, `FORBIDDEN`, `CALL_ENDED`.
 */
export function hangupCall(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(hangupCallInput, given);
  const content = { reason: input.reason ?? "hangup" };
  return sendSignal(tools, requester, { name: "hangupCall", type: "m.call.hangup", input, content });
}
