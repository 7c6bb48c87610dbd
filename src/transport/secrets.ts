import { createHash, timingSafeEqual } from "node:crypto";

/** Compares what was shown with a secret, without telling by the time it takes how much of it was right. */
export function isSameSecret(shown: string, secret: string): boolean {
  const [one, other] = [shown, secret].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(one!, other!);
}
