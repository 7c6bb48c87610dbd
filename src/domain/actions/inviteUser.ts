import { check } from "../../model/check.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import type { ActionTools } from "./act.ts";
import { changeMembership, mustExist, othersMembershipInput } from "./membership.ts";

/** Invites a user; a second invite is a new event. [ACT-3, ACT-4] Throws `FORBIDDEN`, `NOT_FOUND`. */
export async function inviteUser(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(othersMembershipInput, given);
  const { roomId, userId: target } = input;
  await mustExist(tools.database.reader, [target], "userId");
  return changeMembership(tools, requester, { name: "inviteUser", input, roomId, target, membership: "invite" });
}
