import { z } from "zod";
import { check } from "../../model/check.ts";
import { aliasNotFound, badInput } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import { alias, eventId, roomId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { commonInput, type ActionTools } from "./act.ts";
import { roomDoneIn } from "./lookUps.ts";
import { changeMembership, more, reason } from "./membership.ts";
import { roomOfInviteOrAction } from "./rejectInvite.ts";
import { profileInMembership, saidInMembership } from "./saidInMembership.ts";

const target = z.strictObject({
  roomId: roomId.nullish(),
  alias: alias.nullish(),
  inviteEventId: eventId.nullish(),
});
const joinRoomInput = z.strictObject({
  ...{ ...commonInput, target, reason, more },
  /** What the user says of themselves in the room, as memberships of the older form have it. [AS-13] */
  profile: profileInMembership.nullish(),
  /** Servers to try where the room isn't known here; this server knows no others. */
  servers: z.array(z.string().max(255)).max(20, "names more than 20 servers").nullish(),
});

/**
 * Joins by room id, alias or invite; a service that may know the alias is asked for it. [JOI-1, AS-3] Joining twice is no
 * error and makes no second event [JOI-4]; what a member says anew of themselves makes one of their profile.
 */
export async function joinRoom(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(joinRoomInput, given);
  return changeMembership(tools, requester, {
    name: "joinRoom",
    input,
    roomId: await roomOfTarget(tools, requester, input),
    target: requester.userId,
    membership: "join",
    unless: "join",
    said: input.profile ? saidInMembership(input.profile) : undefined,
  });
}

async function roomOfTarget(
  tools: ActionTools,
  requester: Requester,
  { target, actionId }: z.output<typeof joinRoomInput>,
): Promise<string> {
  if (target.roomId) return target.roomId;
  if (target.inviteEventId) return roomOfInviteOrAction(tools, requester, { eventId: target.inviteEventId, actionId });
  if (!target.alias) throw badInput("target", "names neither a room, nor an alias, nor an invite");
  // An alias may be deleted, or lead elsewhere, after it was used.
  const found = (await tools.queries.alias(target.alias)) ?? (await roomDoneIn(tools, requester, actionId));
  if (found === null) throw aliasNotFound();
  return found;
}
