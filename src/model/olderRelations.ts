import { isSignalType } from "./call.ts";
import { relationsJson, type EventRelation, type StoredEvent } from "./event.ts";
import { eventId, indexedText } from "./ids.ts";

type Json = Record<string, unknown>;

/** The relation type of an answer, which the older form has a key of its own for. */
const replyType = "m.in_reply_to";
const relatesToKey = "m.relates_to";
const newContentKey = "m.new_content";
/** Where a message relates to more than the older form can say. */
const allKey = "hearth.relates_to";

/** What a message is about, apart from its content. */
export interface Related {
  updatesId: string | null;
  relatesTo: EventRelation[];
}

/** What a content of the older form says a message is about; nothing where it says it in a form that can't be. [AS-13] */
export function relatedBy(content: Json): Related {
  const stated = objectOf(content[relatesToKey]);
  const type = textOf(stated["rel_type"]);
  const parentId = eventIdOf(stated["event_id"]);
  const reply = eventIdOf(objectOf(stated[replyType])["event_id"]);
  const relatesTo: EventRelation[] = [];
  if (type !== null && type !== "m.replace" && parentId !== null) {
    relatesTo.push({ type, eventId: parentId, key: textOf(stated["key"]) });
  }
  // In threads it may be there only for clients that know no threads.
  const isReply = reply !== null && stated["is_falling_back"] !== true;
  if (isReply && !(type === replyType && parentId === reply)) {
    relatesTo.push({ type: replyType, eventId: reply, key: null });
  }
  return { updatesId: type === "m.replace" ? parentId : null, relatesTo };
}

/**
 * The content of a message with what it is about in the older form. One that says so itself, as it was sent in that form,
 * stays as it is. [AS-13]
 */
export function withRelated(content: Json, { type, updatesId, relatesTo }: StoredEvent): Json {
  if (Object.hasOwn(content, relatesToKey)) return content;
  if (updatesId !== null && !isSignalType(type)) return { ...asEdit(content), [relatesToKey]: replacing(updatesId) };
  return relatesTo.length === 0 ? content : { ...content, [relatesToKey]: stating(relatesTo) };
}

function replacing(eventId: string): Json {
  return { rel_type: "m.replace", event_id: eventId };
}

/** Those who know no edits see it as a message of its own, marked by a star. */
function asEdit(content: Json): Json {
  if (Object.hasOwn(content, newContentKey)) return content;
  const starred = Object.fromEntries(
    ["body", "formatted_body"].flatMap((key) => (typeof content[key] === "string" ? [[key, `* ${content[key]}`]] : [])),
  );
  return { ...content, ...starred, [newContentKey]: content };
}

function stating(relatesTo: readonly EventRelation[]): Json {
  const reply = relatesTo.find(({ type }) => type === replyType);
  const relation = relatesTo.find(({ type }) => type !== replyType);
  return {
    ...(relation === undefined ? {} : statingOne(relation)),
    ...(reply === undefined ? {} : { [replyType]: { event_id: reply.eventId } }),
    ...(relatesTo.length > [reply, relation].filter(Boolean).length ? { [allKey]: relationsJson(relatesTo) } : {}),
  };
}

function statingOne({ type, eventId, key }: EventRelation): Json {
  return { rel_type: type, event_id: eventId, ...(key === null ? {} : { key }) };
}

function objectOf(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

/** Only what can be looked up. */
function textOf(value: unknown): string | null {
  return indexedText.safeParse(value).data ?? null;
}

function eventIdOf(value: unknown): string | null {
  return eventId.safeParse(value).data ?? null;
}
