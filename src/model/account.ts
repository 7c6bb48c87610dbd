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

/** A public key of a device, by which others verify what its user signs. [ACT-13] */
export interface SigningKeyShape {
  userId: UserId;
  deviceId: string;
  /** `ed25519:` and a name; a user's keys have different ones. */
  keyId: string;
  /** Unpadded base64. */
  publicKey: string;
  createdAt: Date;
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
