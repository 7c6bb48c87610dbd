import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { z } from "zod";
import { check } from "../model/check.ts";
import { HearthError } from "../model/errors.ts";
import { clientChosenId, isUserId, isUsername, maxIdBytes } from "../model/ids.ts";
import type { Clock, Ids, Log } from "../model/ports.ts";
import type { Requester } from "../model/requester.ts";
import * as store from "../store/accounts.ts";
import type { Database } from "../store/database.ts";
import type { Passwords } from "./passwords.ts";

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
  registrationTokens: readonly string[];
  admins: readonly string[];
  /** Called with the tokens that this process revoked, before the call that revoked them is answered. */
  onRevoked(tokenIds: string[]): void;
}

const minPasswordLength = 8;
const maxPasswordLength = 1024;
const tokenPrefix = "hearth_";
/** Last use of a device is noted at most this often. */
const touchEveryMs = 60_000;

const credentials = {
  username: z.string(),
  password: z.string().max(maxPasswordLength, `is longer than ${maxPasswordLength} characters`),
  deviceId: clientChosenId,
  deviceName: clientChosenId.nullish(),
};
const registerInput = z.strictObject({ ...credentials, registrationToken: z.string().nullish() });
const loginInput = z.strictObject(credentials);
const changePasswordInput = z.strictObject({
  password: z.string(),
  newPassword: credentials.password,
  logoutOtherDevices: z.boolean().default(true),
});

export function createAccounts(options: AccountsOptions): Accounts {
  const { database, clock, ids, log, passwords, serverName } = options;
  const owners = new LRUCache<string, { requester: Requester; touchedAt: number }>({ max: 50_000 });
  // Grows with every revocation, so that a token read from the store before one isn't remembered after it.
  let revocations = 0;
  const admins = new Set(options.admins.map((admin) => userIdOf(admin)));

  function userIdOf(username: string): string {
    return isUserId(username) ? username : `@${username}:${serverName}`;
  }

  async function signIn(
    userId: string,
    deviceId: string,
    deviceName: string | null,
    admin: boolean,
  ): Promise<SignedIn> {
    const accessToken = tokenPrefix + ids.secret();
    const id = ids.opaque();
    const replaced = await database.reader.$transaction(async (connection) => {
      const token = { id, secretHash: hashOf(accessToken), userId, deviceId, deviceName };
      const old = await store.replaceToken(connection, token);
      await store.notifyRevoked(connection, old === null ? [] : [old]);
      return old;
    });
    if (replaced !== null) options.onRevoked([replaced]);
    return { requester: { userId, deviceId, admin: admin || admins.has(userId), tokenId: id }, accessToken };
  }

  function checkRegistrationToken(token: string | null | undefined): void {
    if (options.registration === "closed") throw new HearthError("REGISTRATION_CLOSED", "Registration is closed.");
    if (options.registration === "token" && !options.registrationTokens.includes(token ?? "")) {
      throw new HearthError("REGISTRATION_CLOSED", "Registration takes a registration token.", {
        field: "registrationToken",
      });
    }
  }

  return {
    async register(given) {
      const input = check(registerInput, given);
      checkRegistrationToken(input.registrationToken);
      const userId = `@${input.username}:${serverName}`;
      if (!isUsername(input.username) || Buffer.byteLength(userId) > maxIdBytes) {
        throw new HearthError("INVALID_USERNAME", "username: takes lower case letters, digits and . _ = / + - only.", {
          field: "username",
        });
      }
      checkStrength(input.password, "password");
      const hash = await passwords.hash(input.password);
      if (!(await store.insertAccount(database.reader, userId, hash))) {
        throw new HearthError("USER_IN_USE", "The name is taken.", { field: "username" });
      }
      return signIn(userId, input.deviceId, input.deviceName ?? null, false);
    },

    async login(given) {
      const input = check(loginInput, given);
      const userId = userIdOf(input.username);
      const account =
        isUserId(userId) && !userId.includes("\0") ? await store.findAccount(database.reader, userId) : null;
      const usable = account?.deletedAt === null ? account.passwordHash : null;
      if (!(await passwords.verify(usable, input.password)) || account === null) {
        throw new HearthError("BAD_CREDENTIALS", "The name or the password is wrong.");
      }
      return signIn(userId, input.deviceId, input.deviceName ?? null, account.admin);
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
      const account = await store.findAccount(database.reader, userId);
      if (!(await passwords.verify(account?.passwordHash ?? null, input.password))) {
        throw new HearthError("BAD_CREDENTIALS", "The present password is wrong.", { field: "password" });
      }
      checkStrength(input.newPassword, "newPassword");
      const hash = await passwords.hash(input.newPassword);
      const tokenIds = await database.reader.$transaction(async (connection) => {
        await store.setPasswordHash(connection, userId, hash);
        if (!input.logoutOtherDevices) return [];
        const deleted = await store.deleteTokens(connection, { userId, exceptDevice: deviceId });
        await store.notifyRevoked(connection, deleted);
        return deleted;
      });
      options.onRevoked(tokenIds);
    },

    async authenticate(accessToken, origin) {
      const secretHash = hashOf(accessToken);
      const key = Buffer.from(secretHash).toString("base64");
      let owner = owners.get(key);
      if (owner === undefined) {
        const before = revocations;
        const found = await store.ownerOfToken(database.reader, secretHash);
        if (found === null) throw new HearthError("UNKNOWN_TOKEN", "The access token is unknown or was revoked.");
        const { userId, deviceId, tokenId } = found;
        owner = { requester: { userId, deviceId, tokenId, admin: found.admin || admins.has(userId) }, touchedAt: 0 };
        if (before === revocations) owners.set(key, owner);
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
      revocations++;
      const gone = new Set(tokenIds);
      for (const [key, { requester }] of owners.entries()) if (gone.has(requester.tokenId)) owners.delete(key);
    },

    forgetAll() {
      revocations++;
      owners.clear();
    },
  };
}

function checkStrength(password: string, field: string): void {
  if ([...password].length < minPasswordLength) {
    throw new HearthError("WEAK_PASSWORD", `${field}: takes at least ${minPasswordLength} characters.`, { field });
  }
}

function hashOf(accessToken: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(accessToken).digest());
}
