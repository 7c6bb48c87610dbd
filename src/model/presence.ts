import type { UserId } from "./ids.ts";

/** A user's presence as others may see it. [PRE-2] */
export interface PresenceShape {
  userId: UserId;
  state: "ONLINE" | "IDLE" | "OFFLINE";
  status: string | null;
  lastActiveAt: Date | null;
  capabilityHashes: string[];
}

/** What a user has set about their presence, on all devices. [PRE-1] */
export interface PresenceSetting {
  /** A text that others read beside the name. */
  status: string | null;
  /** To others, the user looks as if offline. [PRE-2] */
  appearOffline: boolean;
}
