import { z } from "zod";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check, jsonObject } from "../../model/check.ts";
import { badInput, HearthError } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import { canonicalDocument, signedJson } from "../../model/federation.ts";
import { roomId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { checkSignatures, signatureRoom, type Signatures } from "../../model/signatures.ts";
import { verifies } from "../../model/signing.ts";
import type { PreparedMessage } from "../../model/tokens.ts";
import type { Connection } from "../../store/database.ts";
import { eventsById } from "../../store/events.ts";
import { signingKeysOf } from "../../store/signingKeys.ts";
import { act, commonInput, rehearse, type ActionTools } from "./act.ts";
import type { Plan } from "./plan.ts";
import { checkSize } from "../rules/size.ts";
import { appendingMessages, messageInput, sentDraft } from "./sendMessages.ts";

/** How long a client may take to sign. */
const signingMs = 5 * 60_000;

const prepareMessageInput = z.strictObject({ roomId, message: messageInput });
const sendPreparedMessageInput = z.strictObject({ ...commonInput, prepared: z.string(), signatures: jsonObject });

/** A message that is ready to be signed. */
export interface Prepared {
  /** Takes the message back to `sendPreparedMessage`. */
  prepared: string;
  /** What to sign, as canonical JSON. */
  json: Record<string, unknown>;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

/**
 * The first phase of sending a signed message: everything is checked and decided but for its place. [ACT-13] Nothing is
 * stored, so that an action id has no effect before the second phase. Throws what `sendMessage` throws.
 */
export async function prepareMessage(tools: ActionTools, requester: Requester, given: unknown): Promise<Prepared> {
  const { clock, ids, tokens, serverName } = tools;
  const { userId, deviceId } = requester;
  const input = check(prepareMessageInput, given);
  const { roomId } = input;
  const draft = sentDraft(tools, requester, input.message, "message");
  const plan = appendingMessages(tools, roomId, [draft], () => "message");
  await rehearse(tools, { requester, name: "prepareMessage", input: {}, roomId, plan });
  checkSize(draft, roomId, signatureRoom);
  const now = clock.now();
  const expiresAt = now + signingMs;
  const decided = { ...draft, eventId: draft.eventId ?? ids.eventId(now), sentAt: now };
  const json = signedJson({ ...decided, roomId }, serverName);
  return { prepared: tokens.prepared({ userId, deviceId, roomId, expiresAt, draft: decided }), json, expiresAt };
}

/**
 * The second phase: stores the prepared event with its signatures, authorised anew. [ACT-13] Sent again it gives the same
 * event, even after it has expired; with other signatures `CONFLICT`. Throws what `sendMessage` throws, `BAD_TOKEN` for
 * what isn't as this device got it or has expired, and `BAD_INPUT` for signatures that are malformed or don't verify.
 */
export async function sendPreparedMessage(
  tools: ActionTools,
  requester: Requester,
  given: unknown,
): Promise<StoredEvent> {
  const input = check(sendPreparedMessageInput, given);
  const message = tools.tokens.readPrepared(input.prepared, requester);
  const { roomId } = message;
  const { actionId, ...draft } = message.draft;
  const bySigner = checkSignatures(input.signatures, { sender: draft.sender, serverName: tools.serverName });
  const signatures = canonicalJson(bySigner, "signatures");
  const append = appendingMessages(tools, roomId, [{ ...draft, signatures }], () => "prepared");
  const [event] = await act(tools, {
    requester,
    name: "sendPreparedMessage",
    input: { ...input, actionId: input.actionId ?? actionId },
    roomId,
    async plan(known, connection): Promise<Plan> {
      const [sent] = await eventsById(connection, [draft.eventId]);
      if (sent !== undefined) return { unchanged: [sameEvent(sent, signatures).eventId] };
      if (tools.clock.now() >= message.expiresAt) throw expired();
      await verify(connection, message, bySigner, tools.serverName);
      return append(known, connection);
    },
  });
  // After a lost connection the writer takes an event of this id for its own.
  return sameEvent(event!, signatures);
}

/** A redacted event can't tell any more what it was signed with. */
function sameEvent(event: StoredEvent, signatures: string): StoredEvent {
  if (event.redactedById === null && event.signatures !== signatures) {
    throw new HearthError("CONFLICT", "signatures: the message was sent with others.", { field: "signatures" });
  }
  return event;
}

/** Verifies what is signed by keys that users registered here; all else is for its readers to judge. */
async function verify(
  connection: Connection,
  { roomId, draft }: PreparedMessage,
  signatures: Signatures,
  serverName: string,
): Promise<void> {
  const keys = await signingKeysOf(connection, Object.keys(signatures));
  const signed = canonicalDocument(signedJson({ ...draft, roomId }, serverName));
  for (const { userId, keyId, publicKey } of keys) {
    const signature = signatures[userId]?.[keyId];
    if (signature !== undefined && !verifies(signed, signature, publicKey)) {
      throw badInput(`signatures.${userId}.${keyId}`, "is not the key's signature of the prepared event");
    }
  }
}

function expired(): HearthError {
  return new HearthError("BAD_TOKEN", "prepared: has expired; prepare the message anew.", { field: "prepared" });
}
