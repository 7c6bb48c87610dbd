import type { PresenceSetting, PresenceShape } from "../../model/presence.ts";
import type { LiveSession } from "../../model/session.ts";

/**
 * A user's presence of what their devices say: online if any is, else idle if any is that, else offline. [PRE-2] To others,
 * who appears offline looks like who is: neither shows when they were active, nor what their devices can do. [PRE-2, PRE-5]
 */
export function presenceOf(
  userId: string,
  sessions: readonly Pick<LiveSession, "presence" | "activeAt" | "capabilities">[],
  { status, appearOffline }: PresenceSetting,
  { own }: { own: boolean },
): PresenceShape {
  const connected = sessions.filter(({ presence }) => presence === "ONLINE" || presence === "IDLE");
  if (connected.length === 0 || (appearOffline && !own)) {
    return { userId, state: "OFFLINE", status, lastActiveAt: null, capabilityHashes: [] };
  }
  const hashes = connected.flatMap(({ capabilities }) => (capabilities === null ? [] : [capabilities]));
  return {
    userId,
    state: connected.some(({ presence }) => presence === "ONLINE") ? "ONLINE" : "IDLE",
    status,
    lastActiveAt: new Date(Math.max(...connected.map(({ activeAt }) => activeAt))),
    capabilityHashes: [...new Set(hashes)].sort(),
  };
}
