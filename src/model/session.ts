import type { UserId } from "./ids.ts";

/** What a device says of itself. [PRE-1] */
export type DevicePresence = "ONLINE" | "IDLE" | "OFFLINE";

/** A device that is in use. Times are milliseconds since the epoch. [SES-1] */
export interface LiveSession {
  readonly userId: UserId;
  readonly deviceId: string;
  readonly sessionId: string;
  /** The access token that it was last used with: it ends when that is revoked. */
  tokenId: string;
  startedAt: number;
  expiresAt: number;
  /** The last request; of sessions that are used by another process the last that it told of. */
  activeAt: number;
  /** Null until the device says so or opens a stream. */
  presence: DevicePresence | null;
  /** The hash of the set that the device announced. [CAP-3] */
  capabilities: string | null;
}
