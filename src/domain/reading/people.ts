import type { SigningKeyShape } from "../../model/account.ts";
import { groupBy } from "../../model/groupBy.ts";
import { isUserId } from "../../model/ids.ts";
import { existingAccounts, profilesOf } from "../../store/accounts.ts";
import { signingKeysOf } from "../../store/signingKeys.ts";
import { roomOfAlias } from "../../store/rooms.ts";
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

/** Signing keys of users, by user id; one statement. [ACT-13] */
export async function signingKeys(
  { connection }: Reading,
  userIds: readonly string[],
): Promise<Map<string, SigningKeyShape[]>> {
  return groupBy(await signingKeysOf(connection, userIds), ({ userId }) => userId);
}

/** The room behind an alias, if there is one. [ALI-1] */
export function roomByAlias({ connection }: Reading, alias: string): Promise<string | null> {
  return roomOfAlias(connection, alias);
}
