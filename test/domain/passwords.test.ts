import * as argon2 from "@node-rs/argon2";
import { expect, test } from "vitest";
import { createPasswords } from "../../src/domain/passwords.ts";

test("[ACC-1] a name that nobody has costs the work that a wrong password costs", async () => {
  /** What passwords were compared with: the parameters and lengths of the hashes, which tell how long that takes. */
  const compared: string[] = [];
  const passwords = createPasswords({
    hash: (password) => argon2.hash(password),
    verify(passwordHash, password) {
      const [, kind, version, parameters, salt = "", hashed = ""] = passwordHash.split("$");
      compared.push([kind, version, parameters, salt.length, hashed.length].join(" "));
      return argon2.verify(passwordHash, password);
    },
  });
  const kept = await passwords.hash("correct horse battery");
  expect(await passwords.verify(kept, "wrong password")).toBe(false);
  expect(await passwords.verify(null, "wrong password")).toBe(false);
  // Not even what it is compared with fits.
  expect(await passwords.verify(null, "nobody has this password")).toBe(false);
  expect(await passwords.verify(kept, "correct horse battery")).toBe(true);
  const [first] = compared;
  expect(first).toMatch(/^argon2id v=19 m=19456,t=2,p=1 /);
  expect(compared).toEqual([first, first, first, first]);
});
