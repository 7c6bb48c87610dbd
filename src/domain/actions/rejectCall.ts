import { z } from "zod";
import { check } from "../../model/check.ts";
import { rejectReason } from "../../model/content/calls.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import { commonInput, type ActionTools } from "./act.ts";
import { sendSignal } from "./sendSignal.ts";

const rejectCallInput = z.strictObject({ ...commonInput, callId: z.string(), reason: rejectReason });

/**
 * Rejects a call from one of the callee's devices. It goes on until the caller acknowledges that. [VOIP-2] Throws
 * `NOT_FOUND`, `CALL_ENDED`, `CALL_TAKEN`, and `FORBIDDEN`, also for a device that did so before.
 */
export function rejectCall(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(rejectCallInput, given);
  const content = input.reason ? { reason: input.reason } : {};
  return sendSignal(tools, requester, { name: "rejectCall", type: "m.call.reject", input, content });
}
