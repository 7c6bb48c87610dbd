import { z } from "zod";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check } from "../../model/check.ts";
import { badInput } from "../../model/errors.ts";
import { isServersOwn, plainType, type EventDraft, type EventRelation, type StoredEvent } from "../../model/event.ts";
import { clientChosenId, eventId, indexedText, roomId, userId } from "../../model/ids.ts";
import { relatedBy, type Related } from "../../model/olderRelations.ts";
import type { Requester } from "../../model/requester.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { signalDraft, signalled } from "./callSignals.ts";
import { authoriseAll, present, type Planner } from "./plan.ts";
import { withParents } from "./parents.ts";
import { messageContent, messageContentInput } from "./messageContent.ts";

const relation = z.strictObject({
  type: indexedText,
  eventId,
  key: indexedText.nullish(),
});
/** `MessageInput` of the contract. */
export const messageInput = z.strictObject({
  type: z.string().default("m.room.message"),
  content: messageContentInput,
  updates: eventId.nullish(),
  relatesTo: z.array(relation).max(20, "names more than 20 events").nullish(),
  mentions: z.array(userId).max(500, "mentions more than 500 users").nullish(),
  actionId: clientChosenId.nullish(),
});
type Message = z.output<typeof messageInput>;
const { suppressOnStream, sentAt } = commonInput;
const sendMessageInput = z.strictObject({ roomId, message: messageInput, suppressOnStream, sentAt });
const sendMessagesInput = z.strictObject({
  ...commonInput,
  roomId,
  messages: z.array(messageInput).min(1, "is empty").max(100, "holds more than 100 messages"),
});

/** Sends one message event. [ACT-8] Throws `BAD_INPUT`, `TOO_LARGE`, `FORBIDDEN`, `NOT_FOUND`, `CONFLICT`. */
export async function sendMessage(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const { message, ...common } = check(sendMessageInput, given);
  const { actionId, ...sent } = message;
  const input = { ...common, actionId, messages: [sent] };
  const [event] = await send(tools, requester, "sendMessage", input, () => "message");
  return event!;
}

/** Sends up to 100 message events, all or nothing, in order, at neighbouring places of the stream. [ACT-8] */
export async function sendMessages(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent[]> {
  const input = check(sendMessagesInput, given);
  const ids = input.messages.map((each) => each.actionId ?? null);
  const repeated = ids.findIndex((id, index) => id !== null && ids.indexOf(id) < index);
  if (repeated >= 0) throw badInput(`messages.${repeated}.actionId`, "is that of another message of the batch");
  // A batch that names none itself is known by the first action id of its messages.
  const actionId = input.actionId ?? ids.find((id) => id !== null);
  return send(tools, requester, "sendMessages", { ...input, actionId }, (index) => `messages.${index}`);
}

async function send(
  tools: ActionTools,
  requester: Requester,
  name: string,
  input: z.output<typeof sendMessagesInput>,
  field: (index: number) => string,
): Promise<StoredEvent[]> {
  const drafts = input.messages.map((each, index) => sentDraft(tools, requester, each, field(index)));
  const events = await act(tools, {
    requester,
    name,
    input,
    roomId: input.roomId,
    count: drafts.length,
    plan: appendingMessages(tools, input.roomId, drafts, field),
  });
  // Behind them may stand what the server says of a call.
  return events.slice(0, drafts.length);
}

/** The event that a message makes when it is sent by this device. */
export function sentDraft(tools: ActionTools, requester: Requester, message: Message, field: string): EventDraft {
  return signalDraft(tools, requester, messageDraft(requester.userId, message, field), field);
}

/**
 * The plan of appending messages of one sender: they may send them, what they update and relate to is there, and calls
 * take the signals among them.
 */
export function appendingMessages(
  tools: ActionTools,
  roomId: string,
  drafts: EventDraft[],
  field: (index: number) => string,
): Planner {
  return async (known, connection) => {
    const room = present(known);
    // First, since a stranger to the room learns nothing of it: not even that the events they name aren't in it.
    const allowed = authoriseAll(drafts, room, tools.serverName);
    const append = await withParents(connection, drafts[0]!.sender, roomId, allowed, field);
    return { ...(await signalled(tools, connection, roomId, append, field)), room };
  };
}

/** The event that a message makes; throws `BAD_INPUT` naming the place below `field`. */
export function messageDraft(sender: string, message: Message, field: string): EventDraft {
  const asked = plainType(message.type, "MESSAGE", `${field}.type`);
  const isReaction = typeof message.content.reaction === "string";
  // The default type is that of texts; what only has a key to show is a reaction.
  const type = isReaction && asked === "m.room.message" ? "m.reaction" : asked;
  const { updatesId, relatesTo } = relatedIn(message, field);
  if (isServersOwn(type)) throw badInput(`${field}.type`, `${type} is not sent as a message`);
  const content = {
    ...messageContent(message.content, `${field}.content`),
    ...(message.mentions ? { "m.mentions": { user_ids: message.mentions } } : {}),
  };
  return {
    type,
    sender,
    content: canonicalJson(content, `${field}.content`),
    inputPath: `${field}.`,
    ...(updatesId === null ? {} : { updatesId }),
    ...(relatesTo.length > 0 ? { relatesTo } : {}),
    ...(message.content.older ? { relatesWhereItCan: true } : {}),
    ...(message.actionId ? { actionId: message.actionId } : {}),
  };
}

/** What a message is about: what is said beside its content, or within one of the older form. */
function relatedIn(message: Message, field: string): Related {
  const { older } = message.content;
  if (!older) return { updatesId: message.updates ?? null, relatesTo: relationsOf(message, field) };
  if (message.updates || message.relatesTo) throw badInput(field, "says in its content what it is about");
  return relatedBy(older);
}

/** The relations of a message; a reaction's one relation carries its key. [REL-1, REL-4] */
function relationsOf({ relatesTo, content }: Message, field: string): EventRelation[] {
  const relations = (relatesTo ?? []).map(({ type, eventId, key }) => ({ type, eventId, key: key ?? null }));
  const names = relations.map(({ type, eventId }) => `${type} ${eventId}`);
  if (new Set(names).size < names.length) throw badInput(`${field}.relatesTo`, "names the same relation twice");
  const { reaction } = content;
  if (typeof reaction !== "string") return relations;
  const [only] = relations;
  if (relations.length !== 1 || only?.type !== "m.annotation" || (only.key ?? reaction) !== reaction) {
    throw badInput(`${field}.relatesTo`, "of a reaction names one event, as m.annotation, without another key");
  }
  return [{ ...only, key: reaction }];
}
