import { HearthError } from "../model/errors.ts";
import type { Requester } from "../model/requester.ts";
import { existingAccounts } from "../store/accounts.ts";
import { holdAdmins } from "../store/admin.ts";
import type { Connection } from "../store/database.ts";
import { demandAdmin } from "./rules/admin.ts";

/** Whose it is, of what users may do with their own and admins with anyone's: `FORBIDDEN` for others, before anything else. */
export function ownOrAnyones(requester: Requester, userId: string | null | undefined): string {
  demandOwnAccount(requester);
  const target = userId ?? requester.userId;
  if (target !== requester.userId) demandAdmin(requester);
  return target;
}

/** Throws `FORBIDDEN` where a request names another user than the one it is asked for, about what only that one may do. */
export function demandSelf({ userId }: Requester, named: string | undefined): void {
  if (named !== userId)
    throw new HearthError("FORBIDDEN", "This is only for the user themselves.", { field: "userId" });
}

/** Throws `FORBIDDEN` for an application service that acts as a real user: their account isn't its to manage. [AS-6] */
export function demandOwnAccount({ service }: Requester): void {
  if (service?.as !== "linked") return;
  throw new HearthError("FORBIDDEN", "An application service doesn't manage the account of who lent it a token.");
}

/**
 * In the transaction that changes it: an admin must still be one, since what a process remembers may be a moment old, and
 * the user must exist (`NOT_FOUND`).
 */
export async function holdOwnOrAnyones(
  connection: Connection,
  requester: Requester,
  target: string,
  admins: ReadonlySet<string>,
): Promise<void> {
  if (target === requester.userId) return;
  const holders = await holdAdmins(connection, admins);
  demandAdmin({ ...requester, admin: holders.has(requester.userId) });
  await mustBeThere(connection, target);
}

/** Throws `NOT_FOUND` for a user who doesn't exist, or no longer. */
export async function mustBeThere(connection: Connection, userId: string): Promise<void> {
  const found = await existingAccounts(connection, [userId]);
  if (found.length === 0)
    throw new HearthError("NOT_FOUND", `userId: there is no user ${userId}.`, { field: "userId" });
}
