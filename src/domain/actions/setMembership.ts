import { z } from "zod";
import { check, jsonObject } from "../../model/check.ts";
import { memberships } from "../../model/content/typed.ts";
import { badInput, HearthError } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import { roomId, userId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { commonInput, type ActionTools } from "./act.ts";
import { banUser } from "./banUser.ts";
import { inviteUser } from "./inviteUser.ts";
import { joinRoom } from "./joinRoom.ts";
import { kickUser } from "./kickUser.ts";
import { knockRoom } from "./knockRoom.ts";
import { leaveRoom } from "./leaveRoom.ts";

const setMembershipInput = z.strictObject({ ...commonInput, roomId, userId, content: jsonObject });
const memberContent = z.looseObject({
  membership: z.enum(memberships),
  reason: z.string().nullish(),
  displayname: z.string().nullish(),
  avatar_url: z.string().nullish(),
});

/**
 * Sets a membership by the content of its state, as the older form does: each is what the action of its own makes of it. Who
 * joins says what the room shows of them. [AS-13] Throws what those actions throw.
 */
export function setMembership(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const { content, userId, ...common } = check(setMembershipInput, given);
  const { membership, reason, displayname, avatar_url } = check(memberContent, content, "content");
  const { membership: _membership, ...more } = content;
  const input = { ...common, reason, more };
  if (userId === requester.userId) {
    const { roomId, ...join } = input;
    switch (membership) {
      case "join":
        return joinRoom(tools, requester, { ...join, target: { roomId }, profile: { displayname, avatar_url } });
      case "leave":
        return leaveRoom(tools, requester, input);
      case "knock":
        return knockRoom(tools, requester, input);
      default:
        throw badInput("content.membership", "is none that users give themselves");
    }
  }
  switch (membership) {
    case "invite":
      return inviteUser(tools, requester, { ...input, userId });
    case "ban":
      return banUser(tools, requester, { ...input, userId });
    case "leave":
      // Of who is banned that is the end of the ban.
      return kickUser(tools, requester, { ...input, userId });
    default:
      throw new HearthError("FORBIDDEN", "Nobody joins or knocks for somebody else.");
  }
}
