import { z } from "zod";
import { check } from "../../model/check.ts";
import type { StoredEvent } from "../../model/event.ts";
import { clientChosenId, userId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { commonInput, type ActionTools } from "./act.ts";
import { sendSignal } from "./sendSignal.ts";

const acknowledgeCallInput = z.strictObject({ ...commonInput, callId: z.string(), userId, deviceId: clientChosenId });

/**
 * Picks one of the devices that answered or rejected, from the device that placed the call. The first acknowledgement wins;
 * that of a rejecting device ends the call. [VOIP-2] Throws `NOT_FOUND`, also for a device that neither answered nor
 * rejected, `FORBIDDEN`, `CALL_ENDED`, `CALL_TAKEN`.
 */
export function acknowledgeCall(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(acknowledgeCallInput, given);
  const content = { accepted_user_id: input.userId, accepted_device_id: input.deviceId };
  return sendSignal(tools, requester, { name: "acknowledgeCall", type: "m.call.ack", input, content });
}
