import { z } from "zod";
import type { SigningKeyShape } from "../model/account.ts";
import { check } from "../model/check.ts";
import { badInput, HearthError } from "../model/errors.ts";
import { maxIdBytes } from "../model/ids.ts";
import type { Requester } from "../model/requester.ts";
import { publicKeyBytes, readUnpaddedBase64 } from "../model/signing.ts";
import { holdDevice } from "../store/devices.ts";
import * as store from "../store/signingKeys.ts";
import type { ActionTools } from "./actions/act.ts";

/** Whoever verifies a user's signatures gets all of the user's keys, so that there is an end to them. */
const maxKeysPerDevice = 10;
const maxKeysPerUser = 100;

const keyId = z
  .string()
  .regex(/^ed25519:[A-Za-z0-9_]+$/, "is not ed25519: and letters, digits or underscores")
  .max(maxIdBytes, `is longer than ${maxIdBytes} bytes`);
const publicKey = z
  .string()
  .refine((text) => readUnpaddedBase64(text)?.length === publicKeyBytes, "is not 32 bytes in unpadded base64");
const addSigningKeyInput = z.strictObject({ keyId, publicKey });
const removeSigningKeyInput = z.strictObject({ keyId });

/**
 * Registers an Ed25519 key of the requester's device, so that the server and others verify what is signed with it. [ACT-13]
 * The same again changes nothing. Throws `CONFLICT` when the user has another key of this id, or has it on another device.
 */
export async function addSigningKey(
  { database, clock }: ActionTools,
  { userId, deviceId }: Requester,
  given: unknown,
): Promise<SigningKeyShape> {
  const input = check(addSigningKeyInput, given);
  return database.reader.$transaction(async (connection) => {
    await store.lockSigningKeys(connection, userId);
    if (!(await holdDevice(connection, { userId, deviceId }))) {
      throw new HearthError("UNKNOWN_TOKEN", "The device was removed.");
    }
    const keys = await store.signingKeysOf(connection, [userId]);
    const known = keys.find((key) => key.keyId === input.keyId);
    if (known?.deviceId === deviceId && known.publicKey === input.publicKey) return known;
    if (known) {
      const problem = "keyId: is that of another key of yours, or of another device's.";
      throw new HearthError("CONFLICT", problem, { field: "keyId" });
    }
    const ofDevice = keys.filter((key) => key.deviceId === deviceId);
    if (ofDevice.length >= maxKeysPerDevice) throw badInput("keyId", `the device has ${maxKeysPerDevice} keys already`);
    if (keys.length >= maxKeysPerUser) throw badInput("keyId", `you have ${maxKeysPerUser} keys already`);
    const key = { userId, deviceId, ...input, createdAt: new Date(clock.now()) };
    await store.insertSigningKey(connection, key);
    return key;
  });
}

/**
 * Takes a key of the requester back, whichever of their devices has it: a device may be lost. [ACT-13]
 * What was signed with it keeps its signatures. `NOT_FOUND` when the user has no such key.
 */
export async function removeSigningKey(
  { database }: ActionTools,
  { userId }: Requester,
  given: unknown,
): Promise<string> {
  const { keyId } = check(removeSigningKeyInput, given);
  if (!(await store.deleteSigningKey(database.reader, userId, keyId))) {
    throw new HearthError("NOT_FOUND", "You have no such signing key.", { field: "keyId" });
  }
  return keyId;
}
