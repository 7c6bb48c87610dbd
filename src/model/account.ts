import type { UserId } from "./ids.ts";

/** A device of a user. [ACC-2] */
export interface DeviceShape {
  userId: UserId;
  deviceId: string;
  name: string | null;
  createdAt: Date;
  lastSeenAt: Date | null;
  lastSeenIp: string | null;
  userAgent: string | null;
}

/** An access token as shown to its owner: never the secret itself. */
export interface AccessTokenShape {
  id: string;
  createdAt: Date;
  lastUsedAt: Date | null;
}
