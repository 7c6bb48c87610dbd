import { createHash } from "node:crypto";
import { networkOf } from "../../model/addresses.ts";
import type { Clock } from "../../model/ports.ts";
import type { Rates } from "../../model/rates.ts";
import * as store from "../../store/attempts.ts";
import type { Connection } from "../../store/database.ts";
import { tooMuch } from "./limits.ts";

/**
 * Slows down whoever tries passwords or registers again and again. What was tried is in the store, so that it counts for
 * all processes and across restarts; it is counted before a password is hashed, which takes long, and by the name that was
 * given, be there such an account or not.
 *
 * With `logins` a minute as the setting says, an account's password may be tried so often from one address, three times as often
 * from one address at all accounts together, and ten times as often at one account from all addresses together. The last
 * keeps many addresses from guessing together; yet it doesn't hold for an address from which the account was signed in to
 * within a month. So nobody locks a user out of where they usually are, however many try; and from elsewhere they get in
 * as soon as the others pause.
 */
export interface Attempts {
  /** Counts a try of an account's password; throws `RATE_LIMITED`. */
  atPassword(userId: string, address: string | null): Promise<PasswordAttempt>;
  /** Counts a registration; throws `RATE_LIMITED`. */
  atRegistration(address: string | null): Promise<void>;
  /** Forgets what no longer counts. */
  clean(): Promise<void>;
}

export interface PasswordAttempt {
  /** The password was right: what was tried before counts for the account no more. It still does for the address. */
  succeeded(): Promise<void>;
}

const windowMs = 60_000;
const fromAnAddress = 3;
const fromAllAddresses = 10;
/** How long an address is known after somebody signed in there. */
const knownMs = 30 * 86_400_000;

/** `rates`: null for no limits. */
export function createAttempts({
  rates,
  connection,
  clock,
}: {
  rates: Rates | null;
  connection: Connection;
  clock: Clock;
}): Attempts {
  const clean = (): Promise<void> => store.forgetOldAttempts(connection, new Date(clock.now()));
  if (rates === null) {
    const succeeded = (): Promise<void> => Promise.resolve();
    return { atPassword: () => Promise.resolve({ succeeded }), atRegistration: () => Promise.resolve(), clean };
  }
  const { logins } = rates;

  /** Takes one of so many attempts a minute; tells whether the key is known. */
  async function take(key: string, perMinute: number): Promise<boolean> {
    const now = clock.now();
    // The store keeps time in whole milliseconds.
    const stepMs = Math.max(1, Math.floor(windowMs / perMinute));
    const row = await store.takeAttempt(connection, key, { now: new Date(now), stepMs, windowMs });
    if (row.taken) return row.known;
    throw tooMuch(Math.max(1, row.fullAt.getTime() + stepMs - windowMs - now));
  }

  return {
    async atPassword(userId, address) {
      const network = networkOf(address ?? "");
      const [account, pair] = [keyOf("account", userId), keyOf("account from address", userId, network)];
      // What is refused for one reason doesn't count for the next: else trying on would lock everybody else out.
      await take(keyOf("address", network), logins * fromAnAddress);
      const known = await take(pair, logins);
      if (!known) await take(account, logins * fromAllAddresses);
      return {
        async succeeded() {
          const now = clock.now();
          await store.noteKnown(connection, pair, new Date(now), new Date(now + knownMs));
          await store.forgetAttempts(connection, account);
        },
      };
    },

    async atRegistration(address) {
      await take(keyOf("registration", networkOf(address ?? "")), logins);
    },

    clean,
  };
}

/** A key of bounded length that tells nothing of what it stands for to who reads the store. */
function keyOf(...parts: string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}
