import { z } from "zod";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check } from "../../model/check.ts";
import { badInput, eventNotFound } from "../../model/errors.ts";
import type { EventDraft, StoredEvent } from "../../model/event.ts";
import { eventId, roomId as idOfRoom } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import type { Connection } from "../../store/database.ts";
import { updatesOf } from "../../store/relations.ts";
import { authoriseRedaction } from "../rules/authorise.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { aliasesType, presentAliases } from "./aliases.ts";
import { endingWithInvite } from "./callSignals.ts";
import { authoriseAll, present } from "./plan.ts";
import { roomOfEvent, visibleEvent } from "./lookUps.ts";
import { reason } from "./membership.ts";

const redactEventInput = z.strictObject({
  ...{ ...commonInput, eventId, reason },
  /** The room that the event has to be in, where it is said. */
  roomId: idOfRoom.nullish(),
});

/**
 * Empties an event's content for good; its place stays and tells who did it. [ACT-14] What its sender made of it by edits
 * goes with it, since a message that says what it said before isn't gone.
 * Redacting twice makes no second event. `NOT_FOUND` for events that the requester may not see, or of another room than is said.
 */
export async function redactEvent(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(redactEventInput, given);
  const content = canonicalJson(input.reason ? { reason: input.reason } : {}, "content");
  const roomId = await roomOfEvent(tools, requester, input);
  if (input.roomId && input.roomId !== roomId) throw eventNotFound();
  const [event] = await act(tools, {
    requester,
    name: "redactEvent",
    input,
    roomId,
    async plan(known, connection) {
      const target = await redactable(connection, requester.userId, input.eventId);
      const room = present(known);
      const drafts = await redactions(connection, target, { sender: requester.userId, content });
      const append = authoriseAll(drafts, room, tools.serverName);
      authoriseRedaction(requester.userId, target, room);
      if (target.redactedById !== null) return { unchanged: [target.redactedById] };
      const end = await endingWithInvite(tools, connection, target);
      return end === null ? { append, room } : { append: [...append, end.hangup], calls: [end.move], room };
    },
  });
  return event!;
}

/** What the aliases of a room are is in force as long as they are: a room would have aliases that it doesn't tell. [ALI-2] */
export async function demandNoPresentAliases(connection: Connection, target: StoredEvent): Promise<void> {
  if (target.type !== aliasesType || target.stateKey === null) return;
  const { slot } = await presentAliases(connection, target.roomId, target.stateKey);
  if (slot.holder === target.eventId)
    throw badInput("eventId", "names the aliases that the room has: delete those first");
}

async function redactable(connection: Connection, userId: string, eventId: string): Promise<StoredEvent> {
  const target = await visibleEvent(connection, userId, eventId);
  if (target.content === null) throw badInput("eventId", "names a deletion, which has no content to redact");
  if (target.type === "m.room.redaction") throw badInput("eventId", "names a redaction, which can't be redacted");
  await demandNoPresentAliases(connection, target);
  return target;
}

/** The redactions of an event and of what its sender made of it by edits. */
export async function redactions(
  connection: Connection,
  { eventId, sender }: StoredEvent,
  redaction: { sender: string; content: string },
): Promise<EventDraft[]> {
  const updates = await updatesOf(connection, [eventId], Number.MAX_SAFE_INTEGER);
  const edits = (updates.get(eventId) ?? []).filter((edit) => edit.sender === sender && edit.redactedById === null);
  const targets = [eventId, ...edits.map((edit) => edit.eventId)];
  return targets.map((redactsId) => ({ type: "m.room.redaction", ...redaction, redactsId }));
}
