import { z } from "zod";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check } from "../../model/check.ts";
import { HearthError } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import { roomId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { findAction, recordAction } from "../../store/append.ts";
import { holdAccountAlone } from "../../store/accounts.ts";
import { globalProfile, noteProfileChange, writeProfileKey } from "../../store/profiles.ts";
import { actionIdUsed } from "../append/writer.ts";
import { oneByOne } from "../atMost.ts";
import type { ProfileSpread } from "../profiles/spread.ts";
import { changedProfile, checkProfileChange, type ProfileChange } from "../rules/profile.ts";
import { act, commonInput, requestHashOf, type ActionTools } from "./act.ts";
import { authoriseAll, present } from "./plan.ts";
import { contentOf, showing } from "./roomProfile.ts";

const setProfileInput = z.strictObject({
  ...commonInput,
  key: z.string(),
  value: z
    .unknown()
    .optional()
    .transform((value) => value ?? null),
  roomId: roomId.nullish(),
});
type SetProfileInput = z.output<typeof setProfileInput>;

/** By user, before the account's row makes them wait: somebody with many changes at once takes one connection and not all. */
const inTurn = oneByOne(100);

/**
 * Sets a key of the requester's profile, or with null removes it: of the global one, which reaches their rooms in the
 * background, or of one room's, which goes before the global one there. Gives the event in that room; null for the global
 * profile. [PRO-1, PRO-2, PRO-5] Setting what is set already makes no event.
 * Throws `BAD_INPUT`, `TOO_LARGE`, `CONFLICT`, `OVERLOADED`; for rooms `FORBIDDEN`, `NOT_FOUND`.
 */
export async function setProfile(
  tools: ActionTools,
  requester: Requester,
  given: unknown,
  spread: Pick<ProfileSpread, "wake">,
): Promise<StoredEvent | null> {
  const input = check(setProfileInput, given);
  const change = { key: input.key, value: input.value };
  checkProfileChange(change);
  if (input.roomId) return setRoomProfile(tools, requester, { ...input, roomId: input.roomId }, change);
  await inTurn(requester.userId, () => setGlobalProfile(tools, requester, input, change));
  spread.wake(requester.userId);
  return null;
}

async function setRoomProfile(
  tools: ActionTools,
  requester: Requester,
  input: SetProfileInput & { roomId: string },
  change: ProfileChange,
): Promise<StoredEvent | null> {
  const { userId } = requester;
  const [event] = await act(tools, {
    requester,
    name: "setProfile",
    input,
    roomId: input.roomId,
    async plan(known, connection) {
      const room = present(known);
      if (room.membership(userId) !== "join") throw new HearthError("FORBIDDEN", "You are not in the room.");
      const { draft, slot, shown, nothing } = await showing(connection, input.roomId, userId, () => [change]);
      if (shown !== null || nothing) return { unchanged: shown === null ? [] : [shown] };
      return { append: authoriseAll([draft], room, tools.serverName), slots: [slot], room };
    },
  });
  return event ?? null;
}

/** In one transaction with the note that rooms are to show it, so that no crash comes between. [PRO-3] */
async function setGlobalProfile(
  tools: ActionTools,
  { userId, deviceId }: Requester,
  input: SetProfileInput,
  change: ProfileChange,
): Promise<void> {
  const { actionId = null, suppressOnStream: suppressed } = input;
  const requestHash = requestHashOf("setProfile", input);
  await tools.database.reader.$transaction(async (connection) => {
    // One after the other, so that none overlooks how large the others have made the profile.
    const held = await holdAccountAlone(connection, userId);
    if (!held) throw new HearthError("UNKNOWN_TOKEN", "The account can't be used any more.");
    if (actionId !== null) {
      const key = { userId, deviceId, actionId };
      const done = await findAction(connection, key);
      if (done !== null && done.requestHash !== requestHash) throw actionIdUsed();
      if (done !== null) return;
      // Another kind of action may be using the id at this moment.
      if (!(await recordAction(connection, { ...key, requestHash }))) throw actionIdUsed();
    }
    const profile = await globalProfile(connection, userId);
    const changed = changedProfile(profile, change);
    if (contentOf(changed) === contentOf(profile)) return;
    const value = change.value === null ? null : canonicalJson(change.value, "value");
    await writeProfileKey(connection, { userId, key: change.key, value });
    await noteProfileChange(connection, { userId, deviceId, actionId, suppressed });
  });
}
