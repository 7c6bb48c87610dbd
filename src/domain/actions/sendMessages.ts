import { z } from "zod";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check } from "../../model/check.ts";
import { badInput } from "../../model/errors.ts";
import { isServersOwn, plainType, type EventDraft, type StoredEvent } from "../../model/event.ts";
import { clientChosenId, roomId, userId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { act, appending, commonInput, type ActionTools } from "./act.ts";
import { messageContent, messageContentInput } from "./messageContent.ts";

const message = z.strictObject({
  type: z.string().default("m.room.message"),
  content: messageContentInput,
  mentions: z.array(userId).max(500, "mentions more than 500 users").nullish(),
  actionId: clientChosenId.nullish(),
});
const { suppressOnStream } = commonInput;
const sendMessageInput = z.strictObject({ roomId, message, suppressOnStream });
const sendMessagesInput = z.strictObject({
  ...commonInput,
  roomId,
  messages: z.array(message).min(1, "is empty").max(100, "holds more than 100 messages"),
});

/** Sends one message event. [ACT-8] Throws `BAD_INPUT`, `TOO_LARGE`, `FORBIDDEN`, `NOT_FOUND`, `CONFLICT`. */
export async function sendMessage(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const { roomId, message, suppressOnStream } = check(sendMessageInput, given);
  const { actionId, ...sent } = message;
  const input = { actionId, roomId, messages: [sent], suppressOnStream };
  const [event] = await send(tools, requester, "sendMessage", input, () => "message");
  return event!;
}

/** Sends up to 100 message events, all or nothing, in order, at neighbouring places of the stream. [ACT-8] */
export async function sendMessages(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent[]> {
  const input = check(sendMessagesInput, given);
  // A batch that names none itself is known by the action id of its first message.
  const actionId = input.actionId ?? input.messages[0]?.actionId;
  return send(tools, requester, "sendMessages", { ...input, actionId }, (index) => `messages.${index}`);
}

function send(
  tools: ActionTools,
  requester: Requester,
  name: string,
  input: z.output<typeof sendMessagesInput>,
  field: (index: number) => string,
): Promise<StoredEvent[]> {
  const drafts = input.messages.map((each, index) => draftOf(requester.userId, each, field(index)));
  return act(tools, {
    requester,
    name,
    input,
    roomId: input.roomId,
    plan: appending(drafts, tools),
  });
}

function draftOf(
  sender: string,
  message: z.output<typeof sendMessagesInput>["messages"][number],
  field: string,
): EventDraft {
  const type = plainType(message.type, "MESSAGE", `${field}.type`);
  if (isServersOwn(type)) throw badInput(`${field}.type`, `${type} is not sent as a message`);
  const content = {
    ...messageContent(message.content, `${field}.content`),
    ...(message.mentions ? { "m.mentions": { user_ids: message.mentions } } : {}),
  };
  return {
    type,
    sender,
    content: canonicalJson(content, `${field}.content`),
    ...(message.actionId ? { actionId: message.actionId } : {}),
  };
}
