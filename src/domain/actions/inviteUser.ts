import { check } from "../../model/check.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import type { ActionTools } from "./act.ts";
import { changeMembership, othersMembershipInput } from "./membership.ts";

/**
 * Invites a user; a second invite is a new event. [ACT-3, ACT-4] A service that may know the user is asked for them. [AS-4] Throws
 * `FORBIDDEN`, `NOT_FOUND`, `TIMEOUT`.
 */
export async function inviteUser(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(othersMembershipInput, given);
  const { roomId, userId: target } = input;
  await tools.queries.users([target]);
  const change = { name: "inviteUser", input, roomId, target, membership: "invite" as const };
  return changeMembership(tools, requester, { ...change, targetMustExist: true });
}
