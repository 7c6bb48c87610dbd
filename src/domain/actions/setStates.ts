import { z } from "zod";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check, jsonObject } from "../../model/check.ts";
import { HearthError, badInput } from "../../model/errors.ts";
import { emptyStateKey, isServersOwn, plainType, type EventDraft, type StoredEvent } from "../../model/event.ts";
import { roomId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { checkStateContent } from "../rules/stateContent.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { demandOlderKeys } from "./olderKeys.ts";
import { authoriseAll, present } from "./plan.ts";

/** One state slot and what to put there. */
export const stateInput = z.strictObject({
  type: z.string(),
  stateKey: z.string().default(emptyStateKey),
  content: jsonObject,
});
const setStateInput = z.strictObject({ ...commonInput, roomId, ...stateInput.shape });
const setStatesInput = z.strictObject({
  ...commonInput,
  roomId,
  states: z.array(stateInput).min(1, "is empty").max(100, "holds more than 100 events"),
});

/** Sets one state slot. [ACT-7] Throws `BAD_INPUT`, `BAD_STATE_KEY`, `TOO_LARGE`, `FORBIDDEN`, `NOT_FOUND`, `CONFLICT`. */
export async function setState(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(setStateInput, given);
  const [event] = await set(tools, requester, "setState", input, [stateDraft(requester.userId, input, "")]);
  return event!;
}

/** Sets up to 100 state slots, all or nothing. [ACT-7] */
export function setStates(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent[]> {
  const input = check(setStatesInput, given);
  const drafts = input.states.map((state, index) => stateDraft(requester.userId, state, `states.${index}.`));
  return set(tools, requester, "setStates", input, drafts);
}

function set(
  tools: ActionTools,
  requester: Requester,
  name: string,
  input: { roomId: string; actionId?: string | null | undefined; suppressOnStream: boolean },
  drafts: EventDraft[],
): Promise<StoredEvent[]> {
  return act(tools, {
    requester,
    name,
    input,
    roomId: input.roomId,
    count: drafts.length,
    async plan(known, connection) {
      const room = present(known);
      const append = authoriseAll(drafts, room, tools.serverName);
      await demandOlderKeys(connection, input.roomId, drafts, tools.serverName);
      return { append, room };
    },
  });
}

/** State that has actions of its own, or that only the server sets. */
const reserved = /^m\.room\.(member|member\.profile|create|aliases)$/;

/** A state event as a user asks for it, its content checked where its type is well known. `path` leads to the input. */
export function stateDraft(sender: string, input: z.output<typeof stateInput>, path: string): EventDraft {
  const type = stateType(input.type, `${path}type`);
  checkStateContent(type, input.content, `${path}content`);
  if (input.stateKey === "") {
    throw new HearthError("BAD_STATE_KEY", `${path}stateKey: the empty key is written _.`, {
      field: `${path}stateKey`,
    });
  }
  const content = canonicalJson(input.content, `${path}content`);
  return { type, stateKey: input.stateKey, sender, content, inputPath: path };
}

/** The plain type, if users may set such state at all. */
export function stateType(type: string, field: string): string {
  const plain = plainType(type, "STATE", field);
  if (reserved.test(plain) || isServersOwn(plain))
    throw badInput(field, `${plain} is not set as state: it has actions of its own`);
  return plain;
}
