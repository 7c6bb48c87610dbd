import { check } from "../../model/check.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import type { ActionTools } from "./act.ts";
import { changeMembership, mustExist, othersMembershipInput } from "./membership.ts";

/** Bans a user, who is taken out of the room if they are in it. [ACT-5] */
export async function banUser(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(othersMembershipInput, given);
  const { roomId, userId: target } = input;
  await mustExist(tools.database.reader, [target], "userId");
  return changeMembership(tools, requester, { name: "banUser", input, roomId, target, membership: "ban" });
}
