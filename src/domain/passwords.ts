import * as argon2 from "@node-rs/argon2";
import { z } from "zod";
import { HearthError } from "../model/errors.ts";
import { atMost } from "./atMost.ts";

export interface Passwords {
  /** An Argon2id hash in PHC form. [ACC-4] */
  hash(password: string): Promise<string>;
  /** Whether a password fits a hash; null, for unknown names, costs the same time and never fits. */
  verify(passwordHash: string | null, password: string): Promise<boolean>;
}

const minLength = 8;
const maxLength = 1024;

/** A password in inputs. It is bounded, since hashing takes time by length. */
export const passwordText = z.string().max(maxLength, `is longer than ${maxLength} characters`);

/** Throws `WEAK_PASSWORD` for a password that is too short to be set. */
export function checkStrength(password: string, field: string): void {
  if ([...password].length < minLength) {
    throw new HearthError("WEAK_PASSWORD", `${field}: takes at least ${minLength} characters.`, { field });
  }
}

/** Hashing takes a core and 19 MiB for some 20 ms; more at once would starve everything else. */
const atOnce = 2;
/** Some seconds of work; who comes then is told to come back. */
const maxWaiting = 200;

/** What hashes: the library, unless somebody wants to know what it is asked. */
export interface Argon2 {
  hash(password: string): Promise<string>;
  verify(passwordHash: string, password: string): Promise<boolean>;
}

/** Argon2id with the library's defaults, which follow OWASP: 19 MiB, two passes. */
export function createPasswords({ hash, verify }: Argon2 = argon2): Passwords {
  const limited = atMost(atOnce, maxWaiting);
  let dummy: Promise<string> | null = null;

  return {
    hash: (password) => limited(() => hash(password)),
    async verify(passwordHash, password) {
      // Without waiting for its turn: it is made once, and must not fail because of others.
      dummy ??= hash("nobody has this password");
      const against = passwordHash ?? (await dummy);
      const fits = await limited(() => verify(against, password));
      return fits && passwordHash !== null;
    },
  };
}
