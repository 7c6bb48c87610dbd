import type { UserId } from "./ids.ts";

/** A user's presence as others may see it. [PRE-2] */
export interface PresenceShape {
  userId: UserId;
  state: "ONLINE" | "IDLE" | "OFFLINE";
  status: string | null;
  lastActiveAt: Date | null;
  capabilityHashes: string[];
}
