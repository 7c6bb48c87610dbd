import type { UserId } from "./ids.ts";

/** Who asks: a signed-in user on a device. Made by the transport from an access token, passed to every domain call. */
export interface Requester {
  userId: UserId;
  deviceId: string;
  admin: boolean;
}
