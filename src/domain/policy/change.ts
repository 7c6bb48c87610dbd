import { z } from "zod";
import { isSignalType, type SignalType } from "../../model/call.ts";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check, jsonObject } from "../../model/check.ts";
import { signalContents } from "../../model/content/calls.ts";
import { badInput } from "../../model/errors.ts";
import type { EventDraft } from "../../model/event.ts";
import { authorise } from "../rules/authorise.ts";
import type { RoomAuthority } from "../rules/authority.ts";
import { checkSize } from "../rules/size.ts";
import { checkStateContent } from "../rules/stateContent.ts";

const reason = z.string().max(1000).optional();
const redactionContent = z.strictObject({ reason });

/**
 * The events of an action with the contents that the policy hook gives in place of some, by their index. They are held to
 * the rules anew, each as if those before it had happened, so that no policy gives anybody power that they don't have.
 * `room` is as it was read. Throws what refuses the change: any of `HearthError`.
 */
export function changedDrafts(
  drafts: readonly EventDraft[],
  contents: unknown,
  room: RoomAuthority,
  serverName: string,
): EventDraft[] {
  const byIndex = new Map(Object.entries(check(jsonObject, contents)));
  const changed = drafts.map((draft, index) => {
    const field = `contents.${index}`;
    if (!byIndex.has(String(index))) return draft;
    const content = check(jsonObject, byIndex.get(String(index)));
    byIndex.delete(String(index));
    checkChange(draft, content, field, serverName);
    return { ...draft, content: canonicalJson(content, field) };
  });
  for (const index of byIndex.keys()) throw badInput(`contents.${index}`, "is the index of no event");
  for (const draft of changed) {
    checkSize(draft, room.roomId);
    // The first event of a room answers to no rule, and is never changed.
    if (draft.type !== "m.room.create" || room.version !== null) authorise(draft, room, serverName);
    if (isEffective(draft)) room.apply(draft);
  }
  return changed;
}

/** Holds new content to what the actions themselves would make of such an event. */
function checkChange(draft: EventDraft, content: Record<string, unknown>, field: string, serverName: string): void {
  if (draft.content === null) throw badInput(field, "belongs to a deletion, which has no content");
  if (draft.sender === serverName) throw badInput(field, "belongs to an event of the server");
  if (isSigned(draft)) throw badInput(field, "belongs to a signed event");
  if (draft.stateKey === undefined) {
    if (draft.type === "m.room.redaction") check(redactionContent, content);
    if (isSignalType(draft.type))
      checkSignal(draft.type, JSON.parse(draft.content) as Record<string, unknown>, content, field);
    return;
  }
  if (draft.type === "m.room.create") throw badInput(field, "belongs to the event that creates the room");
  if (draft.type === "m.room.member") {
    // Whoever asks to invite must not find that they banned.
    const { membership } = JSON.parse(draft.content) as { membership: string };
    check(z.strictObject({ membership: z.literal(membership), reason }), content);
  }
  checkStateContent(draft.type, content, field);
}

/** What a call is judged by stays: its ids and devices, who is meant and how long it rings. */
function checkSignal(
  type: SignalType,
  before: Record<string, unknown>,
  content: Record<string, unknown>,
  field: string,
): void {
  check(signalContents[type], content, field);
  const free = new Set(["offer", "answer", "candidates", "reason"]);
  for (const key of Object.keys({ ...before, ...content })) {
    if (!free.has(key) && canonicalJson(before[key] ?? null, "") !== canonicalJson(content[key] ?? null, field)) {
      throw badInput(`${field}.${key}`, "is not what it was, and decides what becomes of the call");
    }
  }
}

/** State that is put into the past of a room changes nothing in it. [EVS-6] */
function isEffective(draft: EventDraft): boolean {
  return draft.inserted === undefined;
}

/** A signature holds for the content that was signed and for no other. [ACT-13] */
function isSigned(draft: EventDraft): boolean {
  return draft.signatures !== undefined;
}
