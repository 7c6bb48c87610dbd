import { createHash } from "node:crypto";

/** A set of capabilities as it is named: by the SHA-256 of its canonical JSON, in unpadded base64. [CAP-1] */
export interface CapabilitySet {
  hash: string;
  /** Canonical JSON. */
  json: string;
}

export function capabilitySet(json: string): CapabilitySet {
  return { hash: createHash("sha256").update(json).digest("base64").replace(/=+$/, ""), json };
}
