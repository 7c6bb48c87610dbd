import { z } from "zod";
import type { DeviceShape } from "../model/account.ts";
import { check } from "../model/check.ts";
import { HearthError } from "../model/errors.ts";
import { clientChosenId, userId } from "../model/ids.ts";
import type { Requester } from "../model/requester.ts";
import { notifyRevoked } from "../store/accounts.ts";
import type { Connection, Database } from "../store/database.ts";
import * as store from "../store/devices.ts";
import { demandOwnAccount, holdOwnOrAnyones, mustBeThere, ownOrAnyones } from "./ownOrAnyones.ts";

/**
 * A user's own devices and tokens, or anyone's for an admin: `FORBIDDEN` for others, whatever they name. Whatever doesn't
 * exist is `NOT_FOUND`. [ACC-2]
 */
export interface Devices {
  /** The oldest first. */
  list(requester: Requester, userId: unknown): Promise<DeviceShape[]>;
  /** One device; null where there is none, or it isn't for the requester. */
  find(requester: Requester, device: store.DeviceName): Promise<DeviceShape | null>;
  /** Gives a device of the requester's own another name; null: none. */
  rename(requester: Requester, input: unknown): Promise<void>;
  /** Deletes a device with its token, signing keys and session; its streams end everywhere. */
  remove(requester: Requester, input: unknown): Promise<store.DeviceName>;
  /** Ends a token with its streams and session; the device stays, and can log in again. */
  revoke(requester: Requester, input: unknown): Promise<{ userId: string; tokenId: string }>;
}

export interface DevicesOptions {
  database: Database;
  /** User ids of the admins that the settings name. */
  admins: ReadonlySet<string>;
  /** Called with the tokens that this process revoked, before the call that revoked them is answered. */
  onRevoked(tokenIds: string[]): void;
}

const listInput = userId.nullish();
const removeInput = z.strictObject({ userId: userId.nullish(), deviceId: clientChosenId });
const renameInput = z.strictObject({ deviceId: clientChosenId, name: clientChosenId.nullable() });
const revokeInput = z.strictObject({ userId: userId.nullish(), tokenId: clientChosenId });

export function createDevices({ database, admins, onRevoked }: DevicesOptions): Devices {
  async function revoke(
    requester: Requester,
    target: string,
    work: (connection: Connection) => Promise<string[]>,
  ): Promise<void> {
    const revoked = await database.reader.$transaction(async (connection) => {
      await holdOwnOrAnyones(connection, requester, target, admins);
      const tokenIds = await work(connection);
      await notifyRevoked(connection, tokenIds);
      return tokenIds;
    });
    onRevoked(revoked);
  }

  return {
    async list(requester, given) {
      const target = ownOrAnyones(requester, check(listInput, given, "userId"));
      await mustBeThere(database.reader, target);
      return store.devicesOf(database.reader, target);
    },
    async find(requester, device) {
      if (device.userId !== requester.userId && !requester.admin) return null;
      return store.findDevice(database.reader, device);
    },
    async rename(requester, given) {
      demandOwnAccount(requester);
      const { deviceId, name } = check(renameInput, given);
      const renamed = await store.renameDevice(database.reader, { userId: requester.userId, deviceId }, name);
      if (!renamed) throw deviceNotFound();
    },
    async remove(requester, given) {
      const input = check(removeInput, given);
      const device = { userId: ownOrAnyones(requester, input.userId), deviceId: input.deviceId };
      await revoke(requester, device.userId, async (connection) => {
        const tokenIds = await store.deleteDevice(connection, device);
        if (tokenIds === null) throw deviceNotFound();
        return tokenIds;
      });
      return device;
    },
    async revoke(requester, given) {
      const input = check(revokeInput, given);
      const target = ownOrAnyones(requester, input.userId);
      const { tokenId } = input;
      await revoke(requester, target, async (connection) => {
        if (await store.deleteToken(connection, target, tokenId)) return [tokenId];
        throw new HearthError("NOT_FOUND", "There is no such access token.", { field: "tokenId" });
      });
      return { userId: target, tokenId };
    },
  };
}

export function deviceNotFound(): HearthError {
  return new HearthError("NOT_FOUND", "There is no such device.", { field: "deviceId" });
}
