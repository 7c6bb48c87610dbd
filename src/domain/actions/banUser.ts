import { check } from "../../model/check.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import type { ActionTools } from "./act.ts";
import { changeMembership, othersMembershipInput } from "./membership.ts";

/** Bans a user, who is taken out of the room if they are in it. [ACT-5] */
export function banUser(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(othersMembershipInput, given);
  const { roomId, userId: target } = input;
  const change = { name: "banUser", input, roomId, target, membership: "ban" as const };
  return changeMembership(tools, requester, { ...change, targetMustExist: true });
}
