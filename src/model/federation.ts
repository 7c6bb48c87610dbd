import { createHash } from "node:crypto";
import { canonicalJson, maxDepth } from "./canonicalJson.ts";
import { emptyStateKey, relationsJson, usersSignatures, type EventRelation, type StoredEvent } from "./event.ts";
import type { EventId } from "./ids.ts";
import { unpaddedBase64, type Signer } from "./signing.ts";

/** The events that an event in federation form names as its ground. [EV-6] */
export interface FederationContext {
  /** A live event's only one is the live event before it, an inserted event's the one it was inserted after. */
  prevEvents: EventId[];
  /** What held the `authorisingSlots` straight before the event. */
  authEvents: EventId[];
}

/**
 * The event as servers show it to each other: hashed and signed by this one, its origin. [EV-6]
 * The type is plain, without its kind; a deleted state event has no `content`. The depth is the stream position, which is
 * greater than that of any event before. Neither an action id nor a former content is in it: those are for devices.
 * The hash covers all but `hashes`, `signatures` and `unsigned`, the signature all but `signatures` and `unsigned`; both
 * are taken of what the event is now, so that a redacted event verifies, and has another hash than it had before.
 * Users' signatures stand beside the server's; they cover what `signedJson` gives. [ACT-13]
 */
export function federationJson(
  event: StoredEvent,
  context: FederationContext,
  signer: Signer,
): Record<string, unknown> {
  const bare = bareJson(event, context, signer.serverName);
  const hash = createHash("sha256").update(canonicalDocument(bare)).digest();
  const hashed = { ...bare, hashes: { sha256: unpaddedBase64(hash) } };
  const signature = signer.sign(canonicalDocument(hashed));
  const signatures = { ...usersSignatures(event), [signer.serverName]: { [signer.keyId]: signature } };
  const signed = { ...hashed, signatures };
  const unsigned = unsignedJson(event);
  return Object.keys(unsigned).length === 0 ? signed : { ...signed, unsigned };
}

/** What the hash covers. */
function bareJson(event: StoredEvent, context: FederationContext, origin: string): Record<string, unknown> {
  const json: Record<string, unknown> = {
    ...signedJson(event, origin),
    prev_events: context.prevEvents,
    auth_events: context.authEvents,
    depth: event.position,
  };
  if (event.stateKey !== null) json["state_key"] = event.stateKey;
  if (event.redactsId !== null) json["redacts"] = event.redactsId;
  return json;
}

/** What `signedJson` reads of an event. */
export interface SignedPart extends Pick<StoredEvent, "eventId" | "type" | "roomId" | "sender" | "sentAt" | "content"> {
  updatesId?: EventId | null;
  relatesTo?: EventRelation[];
}

/**
 * The part of a message that its sender knows beforehand, in federation form: what users sign, as canonical JSON. [ACT-13]
 * It holds nothing that depends on the events around it. See docs/decisions/0006-signed-sending.md.
 */
export function signedJson(event: SignedPart, origin: string): Record<string, unknown> {
  const { content, updatesId = null, relatesTo = [] } = event;
  return {
    event_id: event.eventId,
    type: event.type,
    room_id: event.roomId,
    sender: event.sender,
    origin,
    origin_server_ts: event.sentAt,
    ...(content === null ? {} : { content: JSON.parse(content) as unknown }),
    ...(updatesId === null ? {} : { updates: updatesId }),
    ...(relatesTo.length === 0 ? {} : { relates_to: relationsJson(relatesTo) }),
  };
}

/** What may come to be known after the event was made, and what nobody else could check. */
function unsignedJson(event: StoredEvent): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  if (event.redactedById !== null) json["redacted_by"] = event.redactedById;
  if (event.insertedAfterId !== null) json["inserted_after"] = event.insertedAfterId;
  return json;
}

/** The canonical JSON of an event: content may be as deep as anything may, and stands one level deeper here. */
export function canonicalDocument(document: Record<string, unknown>): string {
  return canonicalJson(document, "event", maxDepth + 1);
}

/**
 * The state slots that decide whether the sender might send the event, as the rules of Matrix pick them, without
 * duplicates. [EV-6, EV-9] None for `m.room.create`, which answers to no rule.
 */
export function authorisingSlots(event: Pick<StoredEvent, "type" | "stateKey" | "sender">): AuthorisingSlot[] {
  const { type, stateKey, sender } = event;
  if (type === "m.room.create" && stateKey !== null) return [];
  const slots = [
    { type: "m.room.create", stateKey: emptyStateKey },
    { type: "m.room.power_levels", stateKey: emptyStateKey },
    { type: "m.room.member", stateKey: sender },
  ];
  if (type !== "m.room.member" || stateKey === null) return slots;
  slots.push({ type: "m.room.join_rules", stateKey: emptyStateKey });
  // Of their own membership the sender is the target, and stands there already.
  if (stateKey !== sender) slots.push({ type: "m.room.member", stateKey });
  return slots;
}

interface AuthorisingSlot {
  type: string;
  stateKey: string;
}
