import { hash, verify } from "@node-rs/argon2";
import { z } from "zod";
import { HearthError } from "../model/errors.ts";

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

/** Argon2id with the library's defaults, which follow OWASP: 19 MiB, two passes. */
export function createPasswords(): Passwords {
  let running = 0;
  const waiting: (() => void)[] = [];
  let dummy: Promise<string> | null = null;

  async function limited<T>(work: () => Promise<T>): Promise<T> {
    if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  }

  return {
    hash: (password) => limited(() => hash(password)),
    async verify(passwordHash, password) {
      dummy ??= limited(() => hash("nobody has this password"));
      const against = passwordHash ?? (await dummy);
      const fits = await limited(() => verify(against, password));
      return fits && passwordHash !== null;
    },
  };
}
