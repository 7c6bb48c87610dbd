import { check } from "../../model/check.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import type { ActionTools } from "./act.ts";
import { changeMembership, othersMembershipInput } from "./membership.ts";

/** Makes another user leave, or takes back their invite or knock. [ACT-5] Throws `FORBIDDEN`, `NOT_FOUND`. */
export function kickUser(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(othersMembershipInput, given);
  const { roomId, userId: target } = input;
  return changeMembership(tools, requester, { name: "kickUser", input, roomId, target, membership: "leave" });
}
