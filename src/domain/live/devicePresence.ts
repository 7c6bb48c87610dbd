import { HearthError } from "../../model/errors.ts";
import type { PresenceShape } from "../../model/presence.ts";
import type { Requester } from "../../model/requester.ts";
import type { DevicePresence } from "../../model/session.ts";
import { existingUsers } from "../reading/people.ts";
import type { Reading } from "../reading/reading.ts";
import type { Presence } from "./presence.ts";
import type { Sessions } from "./sessions.ts";

/** What presence is set and read by. */
interface Parts {
  reading: Reading;
  sessions: Sessions;
  presence: Presence;
}

/** The presence of a user; `FORBIDDEN` for one whom the requester shares no room with, `NOT_FOUND` for nobody. [PRE-4] */
export async function presenceFor(
  { reading, presence }: Parts,
  requester: Requester,
  userId: string,
): Promise<PresenceShape> {
  const seen = (await presence.seenBy(requester.userId, [userId])).get(userId);
  if (seen !== undefined) return seen;
  if ((await existingUsers(reading, [userId])).has(userId)) {
    throw new HearthError("FORBIDDEN", "You share no room with this user.", { field: "userId" });
  }
  throw new HearthError("NOT_FOUND", `userId: there is no such user.`, { field: "userId" });
}

/**
 * Sets what the requester's device says of itself, until its session ends, and the user's status where one is given (null
 * or empty: none). A service that says something as one of its users has a session of theirs, which begins with that and
 * goes on while the service acts as them. [PRE-1, SES-1, AS-6] Throws `BAD_INPUT` for a status that is too long.
 */
export async function setDevicePresence(
  { sessions, presence }: Parts,
  requester: Requester,
  said: { presence: DevicePresence; status?: string | null | undefined },
): Promise<void> {
  if (said.status !== undefined) await presence.set(requester, { status: said.status || null });
  await sessions.request(requester, null);
  sessions.say(requester, { presence: said.presence });
}
