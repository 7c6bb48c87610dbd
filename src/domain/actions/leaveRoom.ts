import { check } from "../../model/check.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import type { ActionTools } from "./act.ts";
import { changeMembership, ownMembershipInput } from "./membership.ts";

/** Leaves a room, or withdraws a knock. [ACT-5] `NOT_FOUND` or `FORBIDDEN` for rooms that one isn't in. */
export function leaveRoom(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(ownMembershipInput, given);
  const target = requester.userId;
  return changeMembership(tools, requester, {
    name: "leaveRoom",
    input,
    roomId: input.roomId,
    target,
    membership: "leave",
  });
}
