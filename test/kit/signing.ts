import { getPublicKeyAsync, signAsync, utils, verifyAsync } from "@noble/ed25519";
import canonicalize from "canonicalize";
import type { Client } from "./client.ts";
import { sql } from "./database.ts";

export type Json = Record<string, unknown>;

/** A client's key, made and used with nothing of hearth's own. */
export interface Key {
  keyId: string;
  /** Unpadded base64. */
  publicKey: string;
  /** Signs a document's canonical JSON. */
  sign(document: object): Promise<string>;
}

/** `ed25519:` and this name is the key's id. */
export async function newKey(name = "phone"): Promise<Key> {
  const secret = utils.randomSecretKey();
  return {
    keyId: `ed25519:${name}`,
    publicKey: unpadded(await getPublicKeyAsync(secret)),
    sign: async (document) => unpadded(await signAsync(bytesOf(document), secret)),
  };
}

/** Whether this is the key's signature of the document's canonical JSON. */
export function verifies(document: object, signature: string, publicKey: string): Promise<boolean> {
  return verifyAsync(Buffer.from(signature, "base64"), bytesOf(document), Buffer.from(publicKey, "base64"));
}

/** Registers the key for the client's device. */
export async function register(client: Client, { keyId, publicKey }: Key): Promise<void> {
  await client.do("mutation ($input: AddSigningKeyInput!) { addSigningKey(input: $input) { signingKey { keyId } } }", {
    input: { keyId, publicKey },
  });
}

export interface Prepared {
  prepared: string;
  json: Record<string, unknown>;
  expiresAt: string;
}

export const prepareDocument =
  "mutation ($input: PrepareMessageInput!) { prepareMessage(input: $input) { prepared json expiresAt } }";
export const sendDocument = `mutation ($input: SendPreparedMessageInput!) {
  sendPreparedMessage(input: $input) { event { id sentAt } compact actionId }
}`;

/** First phase of sending a message. */
export async function prepare(client: Client, roomId: string, message: object): Promise<Prepared> {
  return (await client.do<{ prepareMessage: Prepared }>(prepareDocument, { input: { roomId, message } }))
    .prepareMessage;
}

/** The signature of a prepared message, as `SendPreparedMessageInput` takes it. */
export async function signed(client: Client, key: Key, { json }: Prepared): Promise<object> {
  return { [client.userId]: { [key.keyId]: await key.sign(json) } };
}

/** What the second phase gives. */
interface Sent {
  event: { id: string; sentAt: string };
  compact: Json;
}

/** Second phase. */
export async function sendPrepared(client: Client, input: object): Promise<Sent> {
  return (await client.do<{ sendPreparedMessage: Sent }>(sendDocument, { input })).sendPreparedMessage;
}

/** The event's id, or the code of the refusal and the field that it names. */
export async function outcome(client: Client, input: object): Promise<string> {
  const { data, errors } = await client.ask(sendDocument, { input });
  if (errors) return [errors[0]?.extensions?.["code"], errors[0]?.extensions?.["field"]].filter(Boolean).join(" ");
  return (data!["sendPreparedMessage"] as { event: { id: string } }).event.id;
}

/** The event in client and in federation form. */
export async function forms(client: Client, id: string): Promise<{ client: Json; federation: Json }> {
  const document = "query ($id: ID!) { event(id: $id) { client: json federation: json(format: FEDERATION) } }";
  return (await client.do<{ event: { client: Json; federation: Json } }>(document, { id })).event;
}

/** How many events the store holds. */
export async function countEvents(databaseUrl: string): Promise<number> {
  const [row] = await sql<{ count: number }>(databaseUrl, "SELECT count(*)::integer AS count FROM event");
  return row!.count;
}

function bytesOf(document: object): Uint8Array {
  return Buffer.from(canonicalize(document)!);
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replaceAll("=", "");
}
