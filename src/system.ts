import { randomBytes } from "node:crypto";
import type { Clock, Fetch, Ids } from "./model/ports.ts";

/** The machine's clock. */
export const systemClock: Clock = { now: () => Date.now() };

/** Ids from the machine's randomness. */
export const randomIds: Ids = {
  eventId(now) {
    const bytes = randomBytes(18);
    // The time first, so that neighbours in time are neighbours in the index; 96 random bits follow.
    bytes.writeUIntBE(now, 0, 6);
    return `$${bytes.toString("base64url")}`;
  },
  roomId: (serverName) => `!${randomBytes(15).toString("base64url")}:${serverName}`,
  opaque: () => randomBytes(16).toString("base64url"),
  secret: () => randomBytes(32).toString("base64url"),
};

/** Calls over the machine's network. */
export const systemFetch: Fetch = (url, init) => fetch(url, init);
