import { badInput } from "./errors.ts";
import { isServerName, isUserId, maxIdBytes } from "./ids.ts";
import { readUnpaddedBase64, signatureBytes } from "./signing.ts";

/** User or server id → key id → signature in unpadded base64. */
export type Signatures = Record<string, Record<string, string>>;

/** How many signatures an event takes, and how long one of an algorithm may be that the server doesn't know. */
const maxSignatures = 20;
const maxSignatureLength = 8192;
/** Room that is kept for one signature when a message is prepared: two ids, 64 bytes in base64, punctuation. */
export const signatureRoom = 2 * maxIdBytes + 100;

/**
 * Signatures as a client gives them for a message of `sender`. [ACT-13] Throws `BAD_INPUT` naming `signatures.<id>.<key id>`
 * for malformed ones, when there is none by the sender, and for any under this server's name: it signs for itself, and
 * never these bytes.
 */
export function checkSignatures(
  given: Record<string, unknown>,
  { sender, serverName }: { sender: string; serverName: string },
): Signatures {
  let count = 0;
  const signers = Object.entries(given).map(([id, keys]) => {
    const field = `signatures.${id}`;
    if (!isUserId(id) && !isServerName(id)) throw badInput(field, "is neither a user id nor a server name");
    if (id.toLowerCase() === serverName.toLowerCase()) throw badInput(field, "is this server, which signs for itself");
    if (typeof keys !== "object" || keys === null || Array.isArray(keys)) throw badInput(field, "is no JSON object");
    const signatures = Object.entries(keys);
    if (signatures.length === 0) throw badInput(field, "is empty");
    count += signatures.length;
    return [id, Object.fromEntries(signatures.map(([keyId, text]) => [keyId, checkSignature(field, keyId, text)]))];
  });
  if (count > maxSignatures) throw badInput("signatures", `holds more than ${maxSignatures} signatures`);
  if (!Object.hasOwn(given, sender)) throw badInput("signatures", "holds none by the sender");
  return Object.fromEntries(signers) as Signatures;
}

function checkSignature(signer: string, keyId: string, signature: unknown): string {
  if (!/^[a-z0-9_-]+:[\x21-\x7e]+$/.test(keyId) || keyId.length > maxIdBytes) {
    throw badInput(signer, "holds a key id that is not like ed25519:name, of at most 255 bytes");
  }
  const field = `${signer}.${keyId}`;
  if (typeof signature !== "string") throw badInput(field, "is no text");
  if (signature.length > maxSignatureLength) throw badInput(field, `is longer than ${maxSignatureLength} characters`);
  const bytes = readUnpaddedBase64(signature);
  if (bytes === null || bytes.length === 0) throw badInput(field, "is not unpadded base64");
  if (isEd25519(keyId) && bytes.length !== signatureBytes) throw badInput(field, `is not ${signatureBytes} bytes long`);
  return signature;
}

/** Whether the key's algorithm is the one that the server verifies. */
function isEd25519(keyId: string): boolean {
  return keyId.startsWith("ed25519:");
}
