import { createHash, createPrivateKey, createPublicKey, sign as signWith, verify as verifyWith } from "node:crypto";

/** The server's Ed25519 key, by which others can tell that an event came from here. [EV-6] */
export interface Signer {
  serverName: string;
  /** `ed25519:` and six characters that follow from the public key, so that another key has another id. */
  keyId: string;
  /** Unpadded standard base64. */
  publicKey: string;
  /** The signature of bytes, or of a text's UTF-8, in unpadded standard base64. Equal input gives equal signatures. */
  sign(message: Uint8Array | string): string;
}

const seedBytes = 32;
/** Ed25519 keys and signatures have these lengths. */
export const publicKeyBytes = 32;
export const signatureBytes = 64;
/** What stands before the seed when an Ed25519 key is written as PKCS#8: Node takes no bare seeds. See RFC 8410. */
const pkcs8Head = Buffer.from("302e020100300506032b657004220420", "hex");

/** The signer whose key grows from a seed of 32 random bytes; the same seed gives the same key. [EV-6] */
export function createSigner(seed: Uint8Array, serverName: string): Signer {
  // A seed of another length would be cut or read past by the DER reader, or refused without naming the reason.
  if (seed.length !== seedBytes) throw new RangeError(`a signing seed has ${seedBytes} bytes, not ${seed.length}`);
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: "der", type: "pkcs8" });
  // The key itself is the end of its SPKI form.
  const publicKey = createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(-publicKeyBytes);
  return {
    serverName,
    keyId: keyIdOf(publicKey),
    publicKey: unpaddedBase64(publicKey),
    // Ed25519 hashes for itself, hence no algorithm.
    sign: (message) => unpaddedBase64(signWith(null, Buffer.from(message), privateKey)),
  };
}

function keyIdOf(publicKey: Uint8Array): string {
  const name = createHash("sha256").update(publicKey).digest("base64url").slice(0, 6);
  // Key ids take letters, digits and underscores elsewhere; `a` for both keeps to the narrowest rule.
  return `ed25519:${name.replaceAll(/[-_]/g, "a")}`;
}

/** Base64 as hashes, keys and signatures of events are written: the standard alphabet without `=` at the end. [EV-6] */
export function unpaddedBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replaceAll("=", "");
}

/** The bytes that `unpaddedBase64` would write so; null for any other text, such as one with `=` at its end. */
export function readUnpaddedBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, "base64");
  return unpaddedBase64(bytes) === text ? bytes : null;
}

/** Whether this is the Ed25519 signature of a text's UTF-8; key and signature are unpadded base64. [ACT-13] */
export function verifies(text: string, signature: string, publicKey: string): boolean {
  const key = { kty: "OKP", crv: "Ed25519", x: Buffer.from(publicKey, "base64").toString("base64url") };
  const imported = createPublicKey({ key, format: "jwk" });
  return verifyWith(null, Buffer.from(text), imported, Buffer.from(signature, "base64"));
}
