import type { UserId } from "./ids.ts";

/** Who asks: a signed-in user on a device. Made by the transport from an access token, passed to every domain call. */
export interface Requester {
  userId: UserId;
  deviceId: string;
  admin: boolean;
  /** The access token that was shown, by id: what it opened ends when it is revoked. */
  tokenId: string;
  /** The application service that acts as the user; undefined for users themselves. [AS-6] */
  service?: ActingService;
  /** The request that is served, for the log. */
  requestId?: string;
}

/** How an application service acts as a user. [AS-6] */
export interface ActingService {
  id: string;
  /**
   * `own`: the service's own user or one of its namespace, whose account it manages; `linked`: a real user, whose access token
   * it showed besides its own, and whose account it leaves alone.
   */
  as: "own" | "linked";
}
