import { check } from "../../model/check.ts";
import { HearthError } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import { act, type ActionTools } from "./act.ts";
import { authoriseAll, present } from "./plan.ts";
import { contentBesides, membershipDraft, othersMembershipInput } from "./membership.ts";

/** Lifts a ban; the user may join again where the room lets them. [ACT-5] `FORBIDDEN` when there is no ban. */
export async function unbanUser(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(othersMembershipInput, given);
  const { roomId, userId: target } = input;
  const [event] = await act(tools, {
    requester,
    name: "unbanUser",
    input,
    roomId,
    userIds: [target],
    plan(known) {
      const room = present(known);
      // The rules would take it for a kick; outsiders get this refusal as `NOT_FOUND`, like all others.
      if (room.membership(target) !== "ban")
        throw new HearthError("FORBIDDEN", "The user is not banned from the room.");
      const draft = membershipDraft(requester.userId, target, "leave", contentBesides(input));
      return { append: authoriseAll([draft], room, tools.serverName), room };
    },
  });
  return event!;
}
