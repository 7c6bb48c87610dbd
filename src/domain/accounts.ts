import { createHash, hash as digest } from "node:crypto";
import { LRUCache } from "lru-cache";
import { z } from "zod";
import { check } from "../model/check.ts";
import { HearthError } from "../model/errors.ts";
import { clientChosenId, isUserId, isUsername, maxIdBytes, userIdOf } from "../model/ids.ts";
import type { Clock, Ids, Log } from "../model/ports.ts";
import type { Requester } from "../model/requester.ts";
import * as store from "../store/accounts.ts";
import type { Connection, Database } from "../store/database.ts";
import * as registrationTokens from "../store/registrationTokens.ts";
import { checkStrength, passwordText, type Passwords } from "./passwords.ts";

/** A fresh access token, shown this once. */
export interface SignedIn {
  requester: Requester;
  accessToken: string;
}

/** Where a request came from, for the list of devices. */
export interface Origin {
  ip: string | null;
  userAgent: string | null;
}

export interface Accounts {
  /** Throws `REGISTRATION_CLOSED`, `INVALID_USERNAME`, `WEAK_PASSWORD`, `USER_IN_USE`. [ACC-1, ACC-5] */
  register(input: unknown): Promise<SignedIn>;
  /** Throws `BAD_CREDENTIALS`, after the same time whether or not the name exists. [ACC-1] */
  login(input: unknown): Promise<SignedIn>;
  logout(requester: Requester): Promise<void>;
  /** Throws `BAD_CREDENTIALS` when the present password is wrong, `WEAK_PASSWORD`. */
  changePassword(requester: Requester, input: unknown): Promise<void>;
  /** Whose token this is, or `UNKNOWN_TOKEN`. */
  authenticate(accessToken: string, origin: Origin): Promise<Requester>;
  /** Forgets tokens that were revoked, here or by another process. */
  forget(tokenIds: readonly string[]): void;
  /** Forgets what these users may do: their tokens hold, but are read anew. */
  forgetRights(userIds: readonly string[]): void;
  /** Forgets all that is remembered of tokens, since revocations may have been missed. */
  forgetAll(): void;
}

export interface AccountsOptions {
  database: Database;
  clock: Clock;
  ids: Ids;
  log: Log;
  passwords: Passwords;
  serverName: string;
  registration: "open" | "token" | "closed";
  /** Tokens of the settings; those that admins made are in the store. */
  registrationTokens: readonly string[];
  /** User ids of the admins that the settings name. */
  admins: ReadonlySet<string>;
  /** Called with the tokens that this process revoked, before the call that revoked them is answered. */
  onRevoked(tokenIds: string[]): void;
}

const tokenPrefix = "hearth_";
/** Last use of a device is noted at most this often. */
const touchEveryMs = 60_000;

const credentials = {
  username: z.string(),
  password: passwordText,
  deviceId: clientChosenId,
  deviceName: clientChosenId.nullish(),
};
const registerInput = z.strictObject({ ...credentials, registrationToken: z.string().nullish() });
const loginInput = z.strictObject(credentials);
const changePasswordInput = z.strictObject({
  password: z.string(),
  newPassword: passwordText,
  logoutOtherDevices: z.boolean().default(true),
});

export function createAccounts(options: AccountsOptions): Accounts {
  const { database, clock, ids, log, passwords, serverName, admins } = options;
  const owners = new LRUCache<string, { requester: Requester; touchedAt: number }>({ max: 50_000 });
  // Grows with everything that is forgotten, so that a token read from the store before isn't remembered after it.
  let forgotten = 0;

  /** Makes a token for who showed the password behind this hash. */
  async function signIn(
    userId: string,
    passwordHash: string,
    { deviceId, deviceName = null }: { deviceId: string; deviceName?: string | null | undefined },
  ): Promise<SignedIn> {
    const accessToken = tokenPrefix + ids.secret();
    const id = ids.opaque();
    const { replaced, admin } = await database.reader.$transaction(async (connection) => {
      // Verifying took its time: the account may have been shut since, or have another password.
      const account = await store.holdAccount(connection, userId);
      if (account?.passwordHash !== passwordHash) throw badCredentials();
      const token = { id, secretHash: hashOf(accessToken), userId, deviceId, deviceName };
      const replaced = await store.replaceToken(connection, token);
      await store.notifyRevoked(connection, replaced === null ? [] : [replaced]);
      return { replaced, admin: account.admin };
    });
    if (replaced !== null) options.onRevoked([replaced]);
    return { requester: { userId, deviceId, admin: admin || admins.has(userId), tokenId: id }, accessToken };
  }

  /** The token of the store that a registration uses up; null when it needs none. */
  async function registrationTokenOf(given: string | null | undefined): Promise<string | null> {
    if (options.registration === "closed") throw new HearthError("REGISTRATION_CLOSED", "Registration is closed.");
    if (options.registration === "open" || options.registrationTokens.includes(given ?? "")) return null;
    const token = given?.includes("\0") ? "" : (given ?? "");
    if (!(await registrationTokens.isUsable(database.reader, token, new Date(clock.now())))) throw needsToken();
    return token;
  }

  /** Makes the account and takes a use of the token: both, or neither. [ACC-5] */
  async function createAccount(connection: Connection, userId: string, hash: string, token: string | null) {
    if (!(await store.insertAccount(connection, userId, hash))) {
      throw new HearthError("USER_IN_USE", "The name is taken.", { field: "username" });
    }
    if (token === null) return;
    if (!(await registrationTokens.takeUse(connection, token, new Date(clock.now())))) throw needsToken();
  }

  return {
    async register(given) {
      const input = check(registerInput, given);
      const token = await registrationTokenOf(input.registrationToken);
      const userId = `@${input.username}:${serverName}`;
      if (!isUsername(input.username) || Buffer.byteLength(userId) > maxIdBytes) {
        throw new HearthError("INVALID_USERNAME", "username: takes lower case letters, digits and . _ = / + - only.", {
          field: "username",
        });
      }
      checkStrength(input.password, "password");
      const hash = await passwords.hash(input.password);
      await database.reader.$transaction((connection) => createAccount(connection, userId, hash, token));
      return signIn(userId, hash, input);
    },

    async login(given) {
      const input = check(loginInput, given);
      const userId = userIdOf(input.username, serverName);
      const account =
        isUserId(userId) && !userId.includes("\0") ? await store.findAccount(database.reader, userId) : null;
      const usable = account?.deletedAt === null && account.deactivatedAt === null ? account.passwordHash : null;
      // A null hash takes the same time, and never fits.
      if (!(await passwords.verify(usable, input.password)) || usable === null) throw badCredentials();
      return signIn(userId, usable, input);
    },

    async logout({ userId, deviceId }) {
      const tokenIds = await database.reader.$transaction(async (connection) => {
        const deleted = await store.deleteTokens(connection, { userId, deviceId });
        await store.notifyRevoked(connection, deleted);
        return deleted;
      });
      options.onRevoked(tokenIds);
    },

    async changePassword({ userId, deviceId }, given) {
      const input = check(changePasswordInput, given);
      const wrong = new HearthError("BAD_CREDENTIALS", "The present password is wrong.", { field: "password" });
      const present = (await store.findAccount(database.reader, userId))?.passwordHash ?? null;
      if (!(await passwords.verify(present, input.password)) || present === null) throw wrong;
      checkStrength(input.newPassword, "newPassword");
      const hash = await passwords.hash(input.newPassword);
      const tokenIds = await database.reader.$transaction(async (connection) => {
        if (!(await store.replacePasswordHash(connection, userId, { from: present, to: hash }))) throw wrong;
        if (!input.logoutOtherDevices) return [];
        const deleted = await store.deleteTokens(connection, { userId, exceptDevice: deviceId });
        await store.notifyRevoked(connection, deleted);
        return deleted;
      });
      options.onRevoked(tokenIds);
    },

    async authenticate(accessToken, origin) {
      const key = digest("sha256", accessToken, "base64");
      let owner = owners.get(key);
      if (owner === undefined) {
        const before = forgotten;
        const found = await store.ownerOfToken(database.reader, hashOf(accessToken));
        if (found === null) throw new HearthError("UNKNOWN_TOKEN", "The access token is unknown or was revoked.");
        const { userId, deviceId, tokenId } = found;
        owner = { requester: { userId, deviceId, tokenId, admin: found.admin || admins.has(userId) }, touchedAt: 0 };
        if (before === forgotten) owners.set(key, owner);
      }
      const now = clock.now();
      if (now - owner.touchedAt >= touchEveryMs) {
        owner.touchedAt = now;
        const { userId, deviceId } = owner.requester;
        store
          .touchDevice(database.reader, { userId, deviceId, seenAt: new Date(now), ...origin })
          .catch((error: unknown) => log.warn({ error }, "noting a device's use failed"));
      }
      return owner.requester;
    },

    forget(tokenIds) {
      forgotten++;
      const gone = new Set(tokenIds);
      for (const [key, { requester }] of owners.entries()) if (gone.has(requester.tokenId)) owners.delete(key);
    },

    forgetRights(userIds) {
      forgotten++;
      const changed = new Set(userIds);
      for (const [key, { requester }] of owners.entries()) if (changed.has(requester.userId)) owners.delete(key);
    },

    forgetAll() {
      forgotten++;
      owners.clear();
    },
  };
}

function badCredentials(): HearthError {
  return new HearthError("BAD_CREDENTIALS", "The name or the password is wrong.");
}

/** The one answer to a missing token and one that is unknown, used up or past its end. */
function needsToken(): HearthError {
  return new HearthError("REGISTRATION_CLOSED", "Registration takes a registration token.", {
    field: "registrationToken",
  });
}

function hashOf(accessToken: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(accessToken).digest());
}
