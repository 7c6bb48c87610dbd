import { z } from "zod";
import { check } from "../../model/check.ts";
import { answer } from "../../model/content/calls.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import { commonInput, type ActionTools } from "./act.ts";
import { sendSignal } from "./sendSignal.ts";

const answerCallInput = z.strictObject({ ...commonInput, callId: z.string(), answer });

/**
 * Answers a call from one of the callee's devices; the caller chooses among those that answer and reject. [VOIP-2] Throws
 * `NOT_FOUND`, `CALL_ENDED`, `CALL_TAKEN`, `TOO_LARGE`, and `FORBIDDEN`, also for a device that did so before.
 */
export function answerCall(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(answerCallInput, given);
  const content = { answer: input.answer };
  return sendSignal(tools, requester, { name: "answerCall", type: "m.call.answer", input, content });
}
