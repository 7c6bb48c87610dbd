import { z } from "zod";
import { check } from "../../model/check.ts";
import { HearthError } from "../../model/errors.ts";
import { emptyStateKey, type EventDraft, type StoredEvent } from "../../model/event.ts";
import { roomId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { endless, stateInSlots } from "../../store/state.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { authoriseAll, present } from "./plan.ts";
import { stateType } from "./setStates.ts";

const deleteStateInput = z.strictObject({
  ...commonInput,
  roomId,
  type: z.string(),
  stateKey: z.string().default(emptyStateKey),
});

/** Empties a state slot: the event has no content. [ACT-9] `NOT_FOUND` when the slot is empty. */
export async function deleteState(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(deleteStateInput, given);
  const { roomId, stateKey } = input;
  const type = stateType(input.type, "type");
  const [event] = await act(tools, {
    requester,
    name: "deleteState",
    input,
    roomId,
    async plan(known, connection) {
      const room = present(known);
      const draft: EventDraft = { type, stateKey, sender: requester.userId, content: null };
      const append = authoriseAll([draft], room, tools.serverName);
      const slot = { roomId, type, stateKey, at: endless };
      if ((await stateInSlots(connection, [slot])).length === 0) {
        throw new HearthError("NOT_FOUND", "stateKey: there is no such state.", { field: "stateKey" });
      }
      return { append, room };
    },
  });
  return event!;
}
