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

/** An account as admins see it. */
export interface UserAccountShape {
  userId: UserId;
  /** By an admin's act, by the command line or by the setting HEARTH_ADMINS. */
  admin: boolean;
  createdAt: Date;
  /** Since when nobody can sign in; null while somebody can. */
  deactivatedAt: Date | null;
  deactivationReason: string | null;
  /** When one of its devices was used last, to the minute. */
  lastSeenAt: Date | null;
  deviceCount: number;
}

/** Lets people register where registration is by token. [ACC-5] */
export interface RegistrationTokenShape {
  token: string;
  createdAt: Date;
  expiresAt: Date | null;
  /** Null: any number. */
  usesLeft: number | null;
}
