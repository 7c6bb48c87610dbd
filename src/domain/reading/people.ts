import type { SigningKeyShape } from "../../model/account.ts";
import { HearthError } from "../../model/errors.ts";
import { groupBy } from "../../model/groupBy.ts";
import { isUserId } from "../../model/ids.ts";
import { existingAccounts } from "../../store/accounts.ts";
import { profilesOf } from "../../store/profiles.ts";
import { signingKeysOf } from "../../store/signingKeys.ts";
import type { Reading } from "./reading.ts";

/** Which of these users exist here; one statement. */
export async function existingUsers({ connection }: Reading, userIds: readonly string[]): Promise<Set<string>> {
  return new Set(await existingAccounts(connection, userIds.filter(isUserId)));
}

/** Global profiles of users, by user id; one statement. [PRO-1] */
export async function profiles(
  { connection }: Reading,
  userIds: readonly string[],
): Promise<Map<string, Record<string, unknown>>> {
  const found = new Map<string, Record<string, unknown>>();
  for (const { userId, key, value } of await profilesOf(connection, userIds)) {
    found.set(userId, { ...found.get(userId), [key]: JSON.parse(value) as unknown });
  }
  return found;
}

/** A user's global profile; throws `NOT_FOUND` where there is no such user. [PRO-1] */
export async function profileOf(reading: Reading, userId: string): Promise<Record<string, unknown>> {
  if ((await existingUsers(reading, [userId])).size === 0) {
    throw new HearthError("NOT_FOUND", "userId: there is no such user.", { field: "userId" });
  }
  return (await profiles(reading, [userId])).get(userId) ?? {};
}

/** Signing keys of users, by user id; one statement. [ACT-13] */
export async function signingKeys(
  { connection }: Reading,
  userIds: readonly string[],
): Promise<Map<string, SigningKeyShape[]>> {
  return groupBy(await signingKeysOf(connection, userIds), ({ userId }) => userId);
}
