import { z } from "zod";
import { check } from "../../model/check.ts";
import { badInput, HearthError } from "../../model/errors.ts";
import { userId } from "../../model/ids.ts";
import type { Log } from "../../model/ports.ts";
import type { Requester } from "../../model/requester.ts";
import { findAccount } from "../../store/accounts.ts";
import * as store from "../../store/accountDeletion.ts";
import { holdAdmins } from "../../store/admin.ts";
import type { Database } from "../../store/database.ts";
import type { Registry } from "../appservice/registry.ts";
import type { Origin } from "../accounts.ts";
import type { Attempts } from "../limits/attempts.ts";
import { ownOrAnyones } from "../ownOrAnyones.ts";
import { passwordText, type Passwords } from "../passwords.ts";
import { demandAdmin } from "../rules/admin.ts";

export interface DeletionOptions {
  database: Database;
  registry: Registry;
  log: Log;
  passwords: Passwords;
  attempts: Attempts;
  /** User ids of the admins that the settings name. */
  admins: ReadonlySet<string>;
  /** Called with the tokens that this process revoked, before the call that revoked them is answered. */
  onRevoked(tokenIds: string[]): void;
}

const deleteAccountInput = z.strictObject({
  userId: userId.nullish(),
  password: passwordText.nullish(),
  erase: z.boolean().default(false),
});

/**
 * Deletes an account for good: one's own with its password, or anyone's as an admin; an application service deletes those
 * of its users that have no password. [AS-9] At once nobody gets in by it any
 * more, and what the server keeps of the user beside rooms is gone; leaving rooms, and redacting what was sent with
 * `erase`, is then done by whichever process takes it up. An admin may do it again, to erase as well. [ACC-3]
 * Gives the user's id. Throws `BAD_CREDENTIALS`, `RATE_LIMITED`, `FORBIDDEN`, `NOT_FOUND`, and `BAD_INPUT` for the last admin
 * and for admins by the settings.
 */
export async function deleteAccount(
  { database, registry, log, passwords, attempts, admins, onRevoked }: DeletionOptions,
  requester: Requester,
  given: unknown,
  { ip }: Origin,
): Promise<string> {
  const input = check(deleteAccountInput, given);
  const target = ownOrAnyones(requester, input.userId);
  const own = target === requester.userId;
  const { service } = requester;
  if (service !== undefined && registry.current().withId(service.id)?.sender === target) {
    throw new HearthError("FORBIDDEN", "An application service doesn't delete the user that it is itself.");
  }
  const wrong = new HearthError("BAD_CREDENTIALS", "The password is missing or wrong.", { field: "password" });
  const hash = own ? ((await findAccount(database.reader, target))?.passwordHash ?? null) : null;
  const needsPassword = own && (service === undefined || hash !== null);
  if (needsPassword) {
    const attempt = await attempts.atPassword(target, ip);
    if (!(await passwords.verify(hash, input.password ?? "")) || hash === null) throw wrong;
    await attempt.succeeded();
  }
  const revoked = await database.reader.$transaction(async (connection) => {
    const holders = await holdAdmins(connection, admins);
    if (!own) demandAdmin({ ...requester, admin: holders.has(requester.userId) });
    const account = await store.holdForDeletion(connection, target);
    // Verifying took its time: the password may have been changed since.
    if (own && account?.passwordHash !== hash) throw wrong;
    if (admins.has(target)) throw badInput("userId", "is an admin by the setting HEARTH_ADMINS, so change that");
    if (holders.has(target) && holders.size === 1) throw badInput("userId", "is the last admin");
    const tokenIds = await store.deleteAccount(connection, target, input.erase);
    if (tokenIds === null) {
      throw new HearthError("NOT_FOUND", `userId: there is no user ${target}.`, { field: "userId" });
    }
    return tokenIds;
  });
  onRevoked(revoked);
  const { userId: by, requestId } = requester;
  log.info({ by, userId: target, erase: input.erase, requestId }, "an account was deleted");
  return target;
}
