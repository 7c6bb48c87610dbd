import { z } from "zod";
import { check } from "../../model/check.ts";
import { eventNotFound } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import { eventId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { roomOfInvite } from "../../store/rooms.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { appending } from "./plan.ts";
import { roomDoneIn } from "./lookUps.ts";
import { membershipDraft } from "./membership.ts";

const rejectInviteInput = z.strictObject({ ...commonInput, eventId });

/** Rejects an invite by its event id: the user's slot among the members is deleted. [ACT-4] */
export async function rejectInvite(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(rejectInviteInput, given);
  const roomId = await roomOfInviteOrAction(tools, requester, input);
  const [event] = await act(tools, {
    requester,
    name: "rejectInvite",
    input,
    roomId,
    plan: appending([membershipDraft(requester.userId, requester.userId, null)], tools),
  });
  return event!;
}

/** The invite is gone once it was used: then the action id still leads to the room. [ACT-2] */
export async function roomOfInviteOrAction(
  tools: ActionTools,
  requester: Requester,
  input: { eventId: string; actionId?: string | null | undefined },
): Promise<string> {
  const roomId =
    (await roomOfInvite(tools.database.reader, requester.userId, input.eventId)) ??
    (await roomDoneIn(tools, requester, input.actionId));
  if (roomId === null) throw eventNotFound();
  return roomId;
}
