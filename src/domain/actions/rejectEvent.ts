import { z } from "zod";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check } from "../../model/check.ts";
import { badInput, eventNotFound } from "../../model/errors.ts";
import type { EventDraft, StoredEvent } from "../../model/event.ts";
import { eventId } from "../../model/ids.ts";
import { profileType } from "../../model/profile.ts";
import type { Requester } from "../../model/requester.ts";
import { eventsById } from "../../store/events.ts";
import { standingOf, type Standing } from "../../store/rejections.ts";
import { demandAdmin } from "../rules/admin.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { endingWithInvite } from "./callSignals.ts";
import { authoriseAll, present } from "./plan.ts";
import { reason } from "./membership.ts";
import { demandNoPresentAliases, redactions } from "./redactEvent.ts";

const rejectEventInput = z.strictObject({ ...commonInput, eventId, reason });

/** What a rejection brought about. */
export interface Rejection {
  redaction: StoredEvent;
  /** For state that held its slot: the event that restores what was there before. */
  restored: StoredEvent | null;
}

/**
 * Takes back an event that should never have been accepted: the server redacts it, and where it was state that still held,
 * sets again what was there before. Who may see what, and state at earlier places, are read as if it had never been; what it
 * had authorised later stands. What another rejection restored of it goes with it, so that the order of several rejections
 * doesn't matter. Of a rejected redaction the reason goes; what it redacted stays redacted. [EVS-7]
 * Rejecting twice makes no second event. For admins, and for the policy hook. Throws `FORBIDDEN`, `NOT_FOUND`, and
 * `BAD_INPUT` for the event that made a room, and for the one that tells its aliases.
 */
export async function rejectEvent(tools: ActionTools, requester: Requester, given: unknown): Promise<Rejection> {
  demandAdmin(requester);
  const input = check(rejectEventInput, given);
  const target = await findTarget(tools, input.eventId);
  if (target.type === "m.room.create") throw badInput("eventId", "names the event that made the room: delete the room");
  const sender = tools.serverName;
  const redaction = { sender, content: canonicalJson(input.reason ? { reason: input.reason } : {}, "") };
  const events = await act(tools, {
    requester,
    name: "rejectEvent",
    input,
    roomId: target.roomId,
    // What holds a slot may change at any time, of which a room's version needn't tell.
    locked: true,
    async plan(known, connection) {
      const room = present(known);
      await demandNoPresentAliases(connection, target);
      const [now] = await eventsById(connection, [input.eventId]);
      const standing = await standingOf(connection, input.eventId, sender);
      const redacted = now?.redactedById ?? null;
      if (redacted !== null && !standing?.inForce) {
        return { unchanged: [redacted, ...(standing?.restoredById ? [standing.restoredById] : [])] };
      }
      const gone = standing?.inForce ? standing.gone : [];
      const restored = gone.filter(({ eventId, redactedById }) => eventId !== input.eventId && redactedById === null);
      const drafts = [
        ...(redacted === null ? await redactions(connection, target, redaction) : []),
        ...restored.map(({ eventId }) => ({ type: "m.room.redaction", ...redaction, redactsId: eventId })),
        ...(standing?.inForce && standing.holds ? [restoring(target, standing, sender)] : []),
      ];
      const rejects = gone.map(({ eventId }) => eventId);
      const end = await endingWithInvite(tools, connection, target);
      const calls = end === null ? undefined : [end.move];
      const append = authoriseAll(end === null ? drafts : [...drafts, end.hangup], room, sender);
      return { append, rejects, calls, room };
    },
  });
  const made = events.find(({ redactsId }) => redactsId === input.eventId);
  return { redaction: made ?? (await redactionOf(tools, input.eventId)), restored: events.find(isState) ?? null };
}

function isState({ kind }: StoredEvent): boolean {
  return kind === "STATE";
}

async function findTarget(tools: ActionTools, eventId: string): Promise<StoredEvent> {
  const [target] = await eventsById(tools.database.reader, [eventId]);
  if (target === undefined) throw eventNotFound();
  return target;
}

/** State that a user had redacted already stays redacted by them. */
async function redactionOf(tools: ActionTools, eventId: string): Promise<StoredEvent> {
  return findTarget(tools, (await findTarget(tools, eventId)).redactedById ?? "");
}

function restoring({ type, stateKey }: StoredEvent, { source }: Standing, sender: string): EventDraft {
  // Who has no profile in a room is shown by the global one, which may be what was rejected.
  const without = type === profileType ? "{}" : null;
  const draft = { type, stateKey: stateKey!, sender, content: source?.content ?? without };
  return source === null ? draft : { ...draft, restoresId: source.restoresId };
}
