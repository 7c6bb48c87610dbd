import type { AccessTokenShape, DeviceShape } from "../model/account.ts";
import { groupBy } from "../model/groupBy.ts";
import { query, type Connection } from "./database.ts";

/** A device by its user's id and its own. */
export type DeviceName = Pick<DeviceShape, "userId" | "deviceId">;

/** All devices of a user, the oldest first. [ACC-2] */
export function devicesOf(connection: Connection, userId: string): Promise<DeviceShape[]> {
  return connection.device.findMany({ where: { userId }, orderBy: [{ createdAt: "asc" }, { deviceId: "asc" }] });
}

export function findDevice(connection: Connection, { userId, deviceId }: DeviceName): Promise<DeviceShape | null> {
  return connection.device.findUnique({ where: { userId_deviceId: { userId, deviceId } } });
}

/** False where there is no such device. */
export async function renameDevice(
  connection: Connection,
  { userId, deviceId }: DeviceName,
  name: string | null,
): Promise<boolean> {
  return (await connection.device.updateMany({ where: { userId, deviceId }, data: { name } })).count > 0;
}

/** The tokens of each of these devices, without their secrets; one statement. */
export async function tokensOfDevices(
  connection: Connection,
  devices: readonly DeviceName[],
): Promise<AccessTokenShape[][]> {
  const tokens = await connection.accessToken.findMany({
    where: { OR: devices.map(({ userId, deviceId }) => ({ userId, deviceId })) },
    select: { id: true, userId: true, deviceId: true, createdAt: true, lastUsedAt: true },
  });
  const nameOf = ({ userId, deviceId }: DeviceName): string => JSON.stringify([userId, deviceId]);
  const byDevice = groupBy(tokens, nameOf);
  return devices.map((device) => byDevice.get(nameOf(device)) ?? []);
}

/** Keeps a device from being deleted for the rest of the transaction; false when it is gone. */
export async function holdDevice(connection: Connection, { userId, deviceId }: DeviceName): Promise<boolean> {
  const held = await query(
    connection,
    "SELECT device_id FROM device WHERE user_id = $1 AND device_id = $2 FOR KEY SHARE",
    userId,
    deviceId,
  );
  return held.length > 0;
}

/** Deletes a device with its keys and token; gives the ids of its tokens, or null when there was no such device. */
export async function deleteDevice(connection: Connection, device: DeviceName): Promise<string[] | null> {
  // The device first: a login on it waits for that, and then makes it anew.
  const held = await query(
    connection,
    "SELECT device_id FROM device WHERE user_id = $1 AND device_id = $2 FOR UPDATE",
    device.userId,
    device.deviceId,
  );
  if (held.length === 0) return null;
  const tokens = await query<{ id: string }>(
    connection,
    "DELETE FROM access_token WHERE user_id = $1 AND device_id = $2 RETURNING id",
    device.userId,
    device.deviceId,
  );
  await connection.device.deleteMany({ where: { userId: device.userId, deviceId: device.deviceId } });
  return tokens.map(({ id }) => id);
}

/** Whether the user had this token, which holds no longer. */
export async function deleteToken(connection: Connection, userId: string, tokenId: string): Promise<boolean> {
  return (await connection.accessToken.deleteMany({ where: { userId, id: tokenId } })).count > 0;
}
