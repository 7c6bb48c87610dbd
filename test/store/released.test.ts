import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/**
 * Migrations that databases out there were made by, with the SHA-256 of their text. A server refuses a database whose
 * migrations were others, so that none of these ever changes; what is wrong in one is mended by another.
 */
const released: Record<string, string> = {
  "20261121000000_init": "21bd6d83b745034dbe28a3a0c1db0c39c028d24a19aa3859eee7ed9534ed9f84",
  "20261121000001_append": "eee657ef3ae68c9e30a9044bf1ccab04c2b290e32c4b335e61863e14a549ac10",
  "20261121000002_reading": "222ca65cb381d6ccaf94866cc193c54ebe06baa096d5b0d765f86a91412f4d42",
  "20261121000003_first_redaction": "fc7e3511a06a5b95c946a3d5cc15a5fa0c670ec2014096d86dbd23877a49c3b7",
  "20261121000004_actions": "f5b79a00cc80f2cca544141e50e3d01bc8ddd201427547e445d2670668a77c9e",
  "20261121000005_admin": "d195908be3172bed9ae7f28f18706fc5c01cc286dfad126034184c62336205b6",
  "20261121000006_device_keys": "7c4df161c15c551844196abcfa164632ff309499b34aff3c7451080e089de507",
  "20261121000007_policy_review": "c02391488dcda0c9e8f7085becb0279db7718a1dc308ea7396f6abd957567a06",
  "20261122000000_sessions": "243e74dfdd2f730a6013f13e55047f9f7d45071fc09d82781e09b235c5bb7b9c",
  "20261122010000_calls": "b03238abd8c030a913cf9463a232e3ddfc8c2a2b2eb3bc9ad8dda7b84532fd2f",
};

test.each(Object.entries(released))("the released migration %s is as it was", (name, checksum) => {
  const sql = readFileSync(`prisma/migrations/${name}/migration.sql`);
  expect(createHash("sha256").update(sql).digest("hex")).toBe(checksum);
});
