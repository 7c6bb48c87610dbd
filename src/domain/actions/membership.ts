import { z } from "zod";
import { plainText, jsonObject } from "../../model/check.ts";
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
import { entering, showing, type OwnChanges, type Showing } from "./roomProfile.ts";

/** A reason is shown to people, so it is short. */
export const reason = plainText.max(1000, "is longer than 1000 characters").nullish();

/** What memberships have besides, such as `is_direct`: as the older form says it, which bridges tell each other things in. [AS-13] */
export const more = jsonObject.nullish();

export const ownMembershipInput = z.strictObject({ ...commonInput, roomId, reason, more });
export const othersMembershipInput = z.strictObject({ ...commonInput, roomId, userId, reason, more });

/** The keys of a membership's content besides itself. A profile isn't kept there, nor told by others. [PRO-3] */
export function contentBesides(input: {
  reason?: string | null | undefined;
  more?: Record<string, unknown> | null | undefined;
}): Record<string, unknown> {
  const { reason } = input;
  const { displayname: _name, avatar_url: _picture, reason: _reason, ...rest } = input.more ?? {};
  return { ...rest, ...(reason ? { reason } : {}) };
}

/** A membership event; no membership deletes the slot. [PRO-3: it holds no profile keys] */
export function membershipDraft(
  sender: string,
  target: string,
  membership: Membership | null,
  extra: Record<string, unknown> = {},
): EventDraft {
  const content = membership === null ? null : canonicalJson({ ...extra, membership }, "content");
  return { type: "m.room.member", stateKey: target, sender, content };
}

/** Changes the membership of a user, the requester's own or another's; gives the event. */
export async function changeMembership(
  tools: ActionTools,
  requester: Requester,
  change: {
    name: string;
    input: Omit<z.output<typeof ownMembershipInput>, "roomId">;
    roomId: string;
    target: string;
    membership: Membership;
    /** The membership that makes the action unnecessary. */
    unless?: Membership;
    /** `NOT_FOUND` unless the target has an account here. */
    targetMustExist?: boolean;
    /** What who joins says of themselves. */
    said?: OwnChanges | undefined;
  },
): Promise<StoredEvent> {
  const events = await act(tools, {
    requester,
    name: change.name,
    input: change.input,
    roomId: change.roomId,
    userIds: [change.target],
    async plan(known, connection) {
      if (change.targetMustExist === true) await mustExist(connection, [change.target], "userId");
      const room = present(known);
      if (change.unless !== undefined && room.membership(change.target) === change.unless) {
        const shown = await saidInRoom(connection, change);
        if (shown !== null) {
          return { append: authoriseAll([shown.draft], room, tools.serverName), slots: [shown.slot], room };
        }
        const eventId = await membershipEventId(connection, change.roomId, change.target);
        return { unchanged: eventId === null ? [] : [eventId] };
      }
      const content = contentBesides(change.input);
      const draft = membershipDraft(requester.userId, change.target, change.membership, content);
      const { serverName } = tools;
      const { drafts, slots } =
        change.membership === "join"
          ? await entering(connection, room, change.target, serverName, change.said)
          : noProfile;
      return { append: authoriseAll([...drafts, draft], room, serverName), slots, room };
    },
  });
  return events.at(-1)!;
}

/** What a member says anew of themselves; null where the room shows it already. */
async function saidInRoom(
  connection: Connection,
  { roomId, target, said }: { roomId: string; target: string; said?: OwnChanges | undefined },
): Promise<Showing | null> {
  if (said === undefined) return null;
  const showed = await showing(connection, roomId, target, said);
  return showed.shown !== null || showed.nothing ? null : showed;
}

const noProfile = { drafts: [], slots: undefined };

/** Throws `NOT_FOUND` unless all of these users have an account here. */
export async function mustExist(connection: Connection, userIds: readonly string[], field: string): Promise<void> {
  const found = new Set(await existingAccounts(connection, userIds));
  const missing = userIds.find((id) => !found.has(id));
  if (missing !== undefined) throw new HearthError("NOT_FOUND", `${field}: there is no user ${missing}.`, { field });
}
