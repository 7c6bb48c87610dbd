import { check } from "../../model/check.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import type { ActionTools } from "./act.ts";
import { changeMembership, ownMembershipInput } from "./membership.ts";

/** Asks to be let in, where the join rule is KNOCK. [ACT-6] Knocking twice makes no second event. */
export function knockRoom(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(ownMembershipInput, given);
  return changeMembership(tools, requester, {
    name: "knockRoom",
    input,
    roomId: input.roomId,
    target: requester.userId,
    membership: "knock",
    unless: "knock",
  });
}
