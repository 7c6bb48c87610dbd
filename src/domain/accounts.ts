import { createHash, hash as digest } from "node:crypto";
import { LRUCache } from "lru-cache";
import { z } from "zod";
import { check } from "../model/check.ts";
import { HearthError } from "../model/errors.ts";
import { clientChosenId, isUserId, isUsername, maxIdBytes, serverOf, userIdOf } from "../model/ids.ts";
import type { Clock, Ids, Log } from "../model/ports.ts";
import type { Requester } from "../model/requester.ts";
import * as store from "../store/accounts.ts";
import { setAdmin } from "../store/admin.ts";
import type { Connection, Database } from "../store/database.ts";
import * as registrationTokens from "../store/registrationTokens.ts";
import { heldRegistry, makeAccount } from "./appservice/makeAccount.ts";
import type { Registry } from "./appservice/registry.ts";
import type { RegistrySnapshot } from "./appservice/snapshot.ts";
import type { Attempts } from "./limits/attempts.ts";
import type { Limits } from "./limits/limits.ts";
import { demandOwnAccount } from "./ownOrAnyones.ts";
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
  /**
   * Throws `REGISTRATION_CLOSED`, `INVALID_USERNAME`, `WEAK_PASSWORD`, `USER_IN_USE`, `EXCLUSIVE`; and `RATE_LIMITED`, as
   * does whatever takes a password. [ACC-1, ACC-5, AS-8]
   */
  register(input: unknown, origin: Origin): Promise<SignedIn>;
  /**
   * Makes an account for whoever runs the server, who needs no registration token; gives the user's id, and signs nobody in.
   * Throws `INVALID_USERNAME`, `WEAK_PASSWORD`, `USER_IN_USE`, `EXCLUSIVE`. [ACC-1, AS-8]
   */
  create(input: unknown): Promise<string>;
  /**
   * An application service makes a user of its namespaces, who has no password; gives the user's id. The name may hold what
   * those of other networks do. Throws `EXCLUSIVE` for names outside of them, `USER_IN_USE`, `INVALID_USERNAME`. [AS-8]
   */
  registerByService(serviceId: string, username: string): Promise<string>;
  /** A token for a user of an application service's namespaces. Throws `EXCLUSIVE`, `FORBIDDEN` for who isn't there. [AS-8] */
  loginByService(serviceId: string, userId: string, device: ServiceDevice): Promise<SignedIn>;
  /** Throws `BAD_CREDENTIALS`, after the same time whether or not the name exists. [ACC-1] */
  login(input: unknown, origin: Origin): Promise<SignedIn>;
  logout(requester: Requester): Promise<void>;
  /** Ends all tokens of the user. */
  logoutAll(requester: Requester): Promise<void>;
  /** Throws `BAD_CREDENTIALS` when the present password is wrong, `WEAK_PASSWORD`. */
  changePassword(requester: Requester, input: unknown, origin: Origin): Promise<void>;
  /** Whose token this is, or `UNKNOWN_TOKEN`, which counts as a request of a stranger: `RATE_LIMITED` for too many. */
  authenticate(accessToken: string, origin: Origin): Promise<Requester>;
  /** Forgets tokens that were revoked, here or by another process. */
  forget(tokenIds: readonly string[]): void;
  /** Forgets what these users may do: their tokens hold, but are read anew. */
  forgetRights(userIds: readonly string[]): void;
  /** Forgets all that is remembered of tokens, since revocations may have been missed. */
  forgetAll(): void;
}

/** The device that an application service signs a user in on. */
export interface ServiceDevice {
  deviceId?: string | null | undefined;
  deviceName?: string | null | undefined;
}

export interface AccountsOptions {
  database: Database;
  registry: Registry;
  limits: Limits;
  attempts: Attempts;
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
const createInput = z.strictObject({ username: z.string(), password: passwordText, admin: z.boolean().default(false) });
const loginInput = z.strictObject(credentials);
const serviceDevice = z.strictObject({ deviceId: credentials.deviceId, deviceName: credentials.deviceName });
const changePasswordInput = z.strictObject({
  password: z.string(),
  newPassword: passwordText,
  logoutOtherDevices: z.boolean().default(true),
});

export function createAccounts(options: AccountsOptions): Accounts {
  const { database, registry, limits, attempts, clock, ids, log, passwords, serverName, admins } = options;
  const owners = new LRUCache<string, { requester: Requester; touchedAt: number }>({ max: 50_000 });
  // Grows with everything that is forgotten, so that a token read from the store before isn't remembered after it.
  let forgotten = 0;

  /** Makes a token for who showed the password behind this hash. */
  async function signIn(
    userId: string,
    passwordHash: string | null,
    { deviceId, deviceName = null }: { deviceId: string; deviceName?: string | null | undefined },
  ): Promise<SignedIn> {
    const accessToken = tokenPrefix + ids.secret();
    const id = ids.opaque();
    const { replaced, admin } = await database.reader.$transaction(async (connection) => {
      // Verifying took its time: the account may have been shut since, or have another password.
      const account = await store.holdAccount(connection, userId);
      if (account === null || account.passwordHash !== passwordHash) throw badCredentials();
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
  async function createAccount(
    connection: Connection,
    { userId, hash, token }: { userId: string; hash: string; token: string | null },
  ): Promise<void> {
    const services = await heldRegistry(connection, registry);
    demandFreeName(services, userId);
    if (!(await makeAccount(connection, services, userId, hash))) throw userInUse();
    if (token === null) return;
    if (!(await registrationTokens.takeUse(connection, token, new Date(clock.now())))) throw needsToken();
  }

  /** The user id and the password's hash of who is to have an account. */
  async function checked({ username, password }: { username: string; password: string }) {
    const userId = `@${username}:${serverName}`;
    // Before it is looked at as a name that people may have: theirs have other characters, too.
    demandFreeName(registry.current(), userId);
    if (!isUsername(username) || Buffer.byteLength(userId) > maxIdBytes) {
      throw invalidUsername("takes lower case letters, digits and . _ = / + - only.");
    }
    checkStrength(password, "password");
    return { userId, hash: await passwords.hash(password) };
  }

  /** Ends tokens, here and at other processes. */
  async function revoke(which: Parameters<typeof store.deleteTokens>[1]): Promise<void> {
    const tokenIds = await database.reader.$transaction(async (connection) => {
      const deleted = await store.deleteTokens(connection, which);
      await store.notifyRevoked(connection, deleted);
      return deleted;
    });
    options.onRevoked(tokenIds);
  }

  /** The user whom a service asks about. Throws `EXCLUSIVE` outside its namespaces. */
  function demandNamespace(serviceId: string, userId: string): void {
    const services = registry.current();
    const service = services.withId(serviceId);
    const has = service !== null && services.has(serviceId, "users", userId);
    if (has && !services.isOthers("users", userId, service)) return;
    throw exclusive("The name is not in the namespaces of the application service.");
  }

  return {
    async registerByService(serviceId, username) {
      const userId = `@${username}:${serverName}`;
      if (!isUserId(userId) || serverOf(userId) !== serverName) throw invalidUsername("can't be part of a user id.");
      demandNamespace(serviceId, userId);
      const made = await database.reader.$transaction(async (connection) =>
        makeAccount(connection, await heldRegistry(connection, registry), userId, null),
      );
      if (!made) throw userInUse();
      return userId;
    },

    async loginByService(serviceId, userId, { deviceId, deviceName }) {
      const device = check(serviceDevice, { deviceId: deviceId ?? ids.opaque(), deviceName });
      demandNamespace(serviceId, userId);
      const account = await store.findAccount(database.reader, userId);
      if (account === null || account.deletedAt !== null || account.deactivatedAt !== null) {
        throw new HearthError("FORBIDDEN", "The application service has not registered this user.", { field: "user" });
      }
      const trusted = registry.current().withId(serviceId)?.trusted === true;
      if (account.passwordHash !== null && !trusted) {
        throw new HearthError("FORBIDDEN", "The application service can't act as this user.", { field: "user" });
      }
      // The token is one of a device like any other, and would bring their rights along.
      if (account.admin || admins.has(userId)) {
        throw new HearthError("FORBIDDEN", "An application service doesn't sign admins in.", { field: "user" });
      }
      return signIn(userId, account.passwordHash, device);
    },

    async register(given, { ip }) {
      const input = check(registerInput, given);
      if (options.registration !== "closed") await attempts.atRegistration(ip);
      const token = await registrationTokenOf(input.registrationToken);
      const { userId, hash } = await checked(input);
      await database.reader.$transaction((connection) => createAccount(connection, { userId, hash, token }));
      return signIn(userId, hash, input);
    },

    async create(given) {
      const input = check(createInput, given);
      const { userId, hash } = await checked(input);
      await database.reader.$transaction(async (connection) => {
        await createAccount(connection, { userId, hash, token: null });
        if (input.admin) await setAdmin(connection, userId, true);
      });
      return userId;
    },

    async login(given, { ip }) {
      const input = check(loginInput, given);
      const userId = userIdOf(input.username, serverName);
      const attempt = await attempts.atPassword(userId, ip);
      const account =
        isUserId(userId) && !userId.includes("\0") ? await store.findAccount(database.reader, userId) : null;
      const usable = account?.deletedAt === null && account.deactivatedAt === null ? account.passwordHash : null;
      // A null hash takes the same time, and never fits.
      if (!(await passwords.verify(usable, input.password)) || usable === null) throw badCredentials();
      await attempt.succeeded();
      return signIn(userId, usable, input);
    },

    async logout(requester) {
      demandOwnAccount(requester);
      await revoke({ userId: requester.userId, deviceId: requester.deviceId });
    },

    async logoutAll(requester) {
      demandOwnAccount(requester);
      await revoke({ userId: requester.userId });
    },

    async changePassword(requester, given, { ip }) {
      demandOwnAccount(requester);
      const { userId, deviceId } = requester;
      const input = check(changePasswordInput, given);
      const wrong = new HearthError("BAD_CREDENTIALS", "The present password is wrong.", { field: "password" });
      const attempt = await attempts.atPassword(userId, ip);
      const present = (await store.findAccount(database.reader, userId))?.passwordHash ?? null;
      if (!(await passwords.verify(present, input.password)) || present === null) throw wrong;
      await attempt.succeeded();
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
        // What doesn't hold has to be looked for each time.
        limits.demandPatience(origin.ip);
        const found = await store.ownerOfToken(database.reader, hashOf(accessToken));
        if (found === null) {
          limits.strangersRequest(origin.ip);
          throw new HearthError("UNKNOWN_TOKEN", "The access token is unknown or was revoked.");
        }
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

/** Throws `EXCLUSIVE` for a name that only an application service may make. [AS-8] */
function demandFreeName(services: RegistrySnapshot, userId: string): void {
  if (services.isTaken("users", userId, null)) throw exclusive("The name is one of an application service.");
}

function userInUse(): HearthError {
  return new HearthError("USER_IN_USE", "The name is taken.", { field: "username" });
}

function invalidUsername(problem: string): HearthError {
  return new HearthError("INVALID_USERNAME", `username: ${problem}`, { field: "username" });
}

function exclusive(message: string): HearthError {
  return new HearthError("EXCLUSIVE", message, { field: "username" });
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
