import { z } from "zod";
import type { RegistrationTokenShape, UserAccountShape } from "../model/account.ts";
import { check } from "../model/check.ts";
import type { Connection as Page } from "../model/connection.ts";
import { badInput, HearthError } from "../model/errors.ts";
import { clientChosenId, userId } from "../model/ids.ts";
import { checkLimit } from "../model/paging.ts";
import type { Clock, Ids, Log } from "../model/ports.ts";
import type { Requester } from "../model/requester.ts";
import type { Tokens } from "../model/tokens.ts";
import { deleteTokens, notifyRevoked } from "../store/accounts.ts";
import * as store from "../store/admin.ts";
import type { Connection, Database } from "../store/database.ts";
import * as registrationTokens from "../store/registrationTokens.ts";
import { reason } from "./actions/membership.ts";
import { checkStrength, passwordText, type Passwords } from "./passwords.ts";
import { demandAdmin } from "./rules/admin.ts";

/**
 * What only admins may do. Everything throws `FORBIDDEN` for others, before anything else; whatever names a user who
 * doesn't exist is `NOT_FOUND`; doing again what was done is no error.
 */
export interface Admin {
  /** Accounts by user id. Throws `BAD_INPUT` for page sizes out of range, `BAD_TOKEN`. */
  users(requester: Requester, args: UsersArguments): Promise<Page<UserAccountShape>>;
  /** Shuts an account, and ends all its tokens. Its name stays taken, and so do its rooms and messages. Not one's own. */
  deactivateUser(requester: Requester, input: unknown): Promise<UserAccountShape>;
  /** Opens an account again, with the password that it had. */
  reactivateUser(requester: Requester, input: unknown): Promise<UserAccountShape>;
  /** Throws `WEAK_PASSWORD`; `BAD_INPUT` for accounts without a password. */
  resetPassword(requester: Requester, input: unknown): Promise<UserAccountShape>;
  /** Throws `BAD_INPUT` for the last admin who would go, and for admins by the settings. */
  setUserAdmin(requester: Requester, input: unknown): Promise<UserAccountShape>;
  /** All of them, the newest first; those of the settings aren't among them. [ACC-5] */
  registrationTokens(requester: Requester): Promise<RegistrationTokenShape[]>;
  /** Throws `CONFLICT` when there is such a token that counts otherwise. [ACC-5] */
  createRegistrationToken(requester: Requester, input: unknown): Promise<RegistrationTokenShape>;
  /** Says whether there was such a token. [ACC-5] */
  deleteRegistrationToken(requester: Requester, input: unknown): Promise<{ token: string; deleted: boolean }>;
}

export interface UsersArguments {
  /** Part of the user id, in any case. */
  search?: string | null;
  includeDeactivated: boolean;
  first: number;
  after?: string | null;
}

export interface AdminOptions {
  database: Database;
  clock: Clock;
  ids: Ids;
  log: Log;
  passwords: Passwords;
  tokens: Tokens;
  serverName: string;
  /** User ids of the admins that the settings name. */
  admins: ReadonlySet<string>;
  /** The registration tokens that the settings name. */
  registrationTokens: readonly string[];
  /** Called with the tokens that this process revoked, before the call that revoked them is answered. */
  onRevoked(tokenIds: string[]): void;
  /** Called with the users whose rights this process changed, likewise. */
  onRights(userIds: string[]): void;
}

const deactivateInput = z.strictObject({ userId, reason });
const reactivateInput = z.strictObject({ userId });
const resetInput = z.strictObject({ userId, newPassword: passwordText, logoutDevices: z.boolean().default(true) });
const setAdminInput = z.strictObject({ userId, admin: z.boolean() });
const createTokenInput = z.strictObject({
  token: clientChosenId.nullish(),
  uses: z.number().int().min(1, "is not at least 1").nullish(),
  expiresAt: z.date().nullish(),
});
const deleteTokenInput = z.strictObject({ token: clientChosenId });

export function createAdmin(options: AdminOptions): Admin {
  const { database, clock, ids, log, passwords, tokens, serverName, admins } = options;

  const shown = (account: UserAccountShape): UserAccountShape => ({
    ...account,
    admin: account.admin || admins.has(account.userId),
  });

  /** Changes the store as an admin who still is one when it happens: what a process remembers may be a moment old. */
  function change<T>(
    requester: Requester,
    work: (connection: Connection, holders: ReadonlySet<string>) => Promise<T>,
  ): Promise<T> {
    return database.reader.$transaction(async (connection) => {
      const holders = await store.holdAdmins(connection, admins);
      demandAdmin({ ...requester, admin: holders.has(requester.userId) });
      return work(connection, holders);
    });
  }

  /** Changes one account; gives it as it is then, with the tokens that were revoked. */
  async function changeAccount(
    requester: Requester,
    name: string,
    target: string,
    work: (connection: Connection, holders: ReadonlySet<string>) => Promise<string[]>,
  ): Promise<UserAccountShape> {
    const { account, revoked } = await change(requester, async (connection, holders) => {
      await existing(connection, target);
      const revoked = await work(connection, holders);
      await notifyRevoked(connection, revoked);
      return { account: await existing(connection, target), revoked };
    });
    options.onRevoked(revoked);
    const { userId: admin, requestId } = requester;
    log.info({ admin, userId: target, requestId }, name);
    return shown(account);
  }

  return {
    async users(requester, args) {
      demandAdmin(requester);
      const limit = checkLimit(args.first, "first");
      const after =
        typeof args.after === "string" ? String(tokens.readChunk(args.after, "users", serverName)[0]) : null;
      const request = { search: args.search?.replaceAll("\0", "") || null, deactivated: args.includeDeactivated };
      const rows = await store.accountPage(database.reader, { ...request, after, limit: limit + 1 });
      return {
        edges: rows.slice(0, limit).map((account) => ({
          node: shown(account),
          cursor: tokens.chunk("users", serverName, [account.userId]),
        })),
        hasPreviousPage: after !== null,
        hasNextPage: rows.length > limit,
        total: () => store.countAccounts(database.reader, request),
      };
    },

    async deactivateUser(requester, given) {
      demandAdmin(requester);
      const input = check(deactivateInput, given);
      if (input.userId === requester.userId) throw badInput("userId", "is your own; another admin can deactivate you");
      return changeAccount(requester, "a user was deactivated", input.userId, async (connection) => {
        const shut = { userId: input.userId, at: new Date(clock.now()), reason: input.reason ?? null };
        await store.deactivate(connection, shut);
        return deleteTokens(connection, { userId: input.userId });
      });
    },

    async reactivateUser(requester, given) {
      demandAdmin(requester);
      const input = check(reactivateInput, given);
      return changeAccount(requester, "a user was reactivated", input.userId, async (connection) => {
        await store.reactivate(connection, input.userId);
        return [];
      });
    },

    async resetPassword(requester, given) {
      demandAdmin(requester);
      const input = check(resetInput, given);
      checkStrength(input.newPassword, "newPassword");
      const hash = await passwords.hash(input.newPassword);
      return changeAccount(requester, "a password was reset", input.userId, async (connection) => {
        const reset = await store.resetPasswordHash(connection, input.userId, hash);
        if (!reset) throw badInput("userId", "is an account without a password");
        return input.logoutDevices ? deleteTokens(connection, { userId: input.userId }) : [];
      });
    },

    async setUserAdmin(requester, given) {
      demandAdmin(requester);
      const input = check(setAdminInput, given);
      const name = input.admin ? "a user was made admin" : "a user's admin rights were taken";
      const account = await changeAccount(requester, name, input.userId, async (connection, holders) => {
        if (admins.has(input.userId))
          throw badInput("userId", "is an admin by the setting HEARTH_ADMINS, so change that");
        const lastOne = holders.has(input.userId) && holders.size === 1;
        if (!input.admin && lastOne) throw badInput("userId", "is the last admin");
        await store.setAdmin(connection, input.userId, input.admin);
        await store.notifyRights(connection, input.userId);
        return [];
      });
      options.onRights([input.userId]);
      return account;
    },

    async registrationTokens(requester) {
      demandAdmin(requester);
      return registrationTokens.allTokens(database.reader);
    },

    async createRegistrationToken(requester, given) {
      demandAdmin(requester);
      const { token = null, uses = null, expiresAt = null } = check(createTokenInput, given);
      const now = new Date(clock.now());
      if (expiresAt !== null && expiresAt <= now) throw badInput("expiresAt", "is over");
      if (token !== null && options.registrationTokens.includes(token)) {
        throw badInput("token", "is one of the setting HEARTH_REGISTRATION_TOKENS");
      }
      const wanted = { token: token ?? ids.opaque(), createdAt: now, expiresAt, usesLeft: uses };
      const made = await change(requester, (connection) => registrationTokens.makeToken(connection, wanted));
      const same = made?.usesLeft === uses && made.expiresAt?.getTime() === expiresAt?.getTime();
      if (!same) {
        throw new HearthError("CONFLICT", "token: there is one already, with other uses or another end.", {
          field: "token",
        });
      }
      return made;
    },

    async deleteRegistrationToken(requester, given) {
      demandAdmin(requester);
      const { token } = check(deleteTokenInput, given);
      const deleted = await change(requester, (connection) => registrationTokens.deleteToken(connection, token));
      return { token, deleted };
    },
  };
}

async function existing(connection: Connection, id: string): Promise<UserAccountShape> {
  const account = await store.accountOf(connection, id);
  if (account === null) throw new HearthError("NOT_FOUND", `userId: there is no user ${id}.`, { field: "userId" });
  return account;
}
