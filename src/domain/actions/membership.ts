import { z } from "zod";
import { plainText } from "../../model/check.ts";
import { canonicalJson } from "../../model/canonicalJson.ts";
import type { Membership } from "../../model/content/typed.ts";
import { HearthError } from "../../model/errors.ts";
import type { EventDraft, StoredEvent } from "../../model/event.ts";
import { roomId, userId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { existingAccounts } from "../../store/accounts.ts";
import type { Connection } from "../../store/database.ts";
import { membershipEventId } from "../../store/rooms.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { authoriseAll, present } from "./plan.ts";

/** A reason is shown to people, so it is short. */
export const reason = plainText.max(1000, "is longer than 1000 characters").nullish();

export const ownMembershipInput = z.strictObject({ ...commonInput, roomId, reason });
export const othersMembershipInput = z.strictObject({ ...commonInput, roomId, userId, reason });

/** A membership event; no membership deletes the slot. [PRO-3: it holds no profile keys] */
export function membershipDraft(
  sender: string,
  target: string,
  membership: Membership | null,
  extra: Record<string, unknown> = {},
): EventDraft {
  const content = membership === null ? null : canonicalJson({ membership, ...extra }, "content");
  return { type: "m.room.member", stateKey: target, sender, content };
}

/** Changes the membership of a user, the requester's own or another's; gives the event. */
export async function changeMembership(
  tools: ActionTools,
  requester: Requester,
  change: {
    name: string;
    input: { actionId?: string | null | undefined; suppressOnStream: boolean; reason?: string | null | undefined };
    roomId: string;
    target: string;
    membership: Membership;
    /** The membership that makes the action unnecessary. */
    unless?: Membership;
    /** `NOT_FOUND` unless the target has an account here. */
    targetMustExist?: boolean;
  },
): Promise<StoredEvent> {
  const [event] = await act(tools, {
    requester,
    name: change.name,
    input: change.input,
    roomId: change.roomId,
    userIds: [change.target],
    async plan(known, connection) {
      if (change.targetMustExist === true) await mustExist(connection, [change.target], "userId");
      const room = present(known);
      if (change.unless !== undefined && room.membership(change.target) === change.unless) {
        const eventId = await membershipEventId(connection, change.roomId, change.target);
        return { unchanged: eventId === null ? [] : [eventId] };
      }
      const content = change.input.reason ? { reason: change.input.reason } : {};
      const draft = membershipDraft(requester.userId, change.target, change.membership, content);
      return { append: authoriseAll([draft], room, tools.serverName), room };
    },
  });
  return event!;
}

/** Throws `NOT_FOUND` unless all of these users have an account here. */
export async function mustExist(connection: Connection, userIds: readonly string[], field: string): Promise<void> {
  const found = new Set(await existingAccounts(connection, userIds));
  const missing = userIds.find((id) => !found.has(id));
  if (missing !== undefined) throw new HearthError("NOT_FOUND", `${field}: there is no user ${missing}.`, { field });
}
