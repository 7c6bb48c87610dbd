import type { UserId } from "./ids.ts";

/** Who asks: a signed-in user on a device. Made by the transport from an access token, passed to every domain call. */
export interface Requester {
  userId: UserId;
  deviceId: string;
  admin: boolean;
  /** The access token that was shown, by id: what it opened ends when it is revoked. */
  tokenId: string;
}
