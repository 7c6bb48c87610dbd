import { createHmac } from "node:crypto";
import type { TurnServerShape } from "../../model/call.ts";

/** A TURN server, and the secret that it shares with this one. [VOIP-8] */
export interface TurnSettings {
  /** As RFC 7065 and RFC 7064 have them: turn:, turns:, stun: and stuns:. */
  uris: string[];
  secret: string;
}

/** How long credentials hold. A relay that was allocated by then outlives them. */
const credentialsMs = 24 * 60 * 60_000;

/** The TURN servers that a user may relay media by; their password is computed as coturn's `use-auth-secret` does it. [VOIP-8] */
export function turnServersFor(settings: TurnSettings | null, userId: string, now: number): TurnServerShape[] {
  if (settings === null) return [];
  const { uris, secret } = settings;
  const expiry = Math.floor((now + credentialsMs) / 1000);
  const username = `${expiry}:${userId}`;
  const password = createHmac("sha1", secret).update(username).digest("base64");
  return [{ uris, username, password, expiresAt: expiry * 1000 }];
}
