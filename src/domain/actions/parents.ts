import { isSignalType } from "../../model/call.ts";
import { badInput, HearthError } from "../../model/errors.ts";
import type { EventDraft, StoredEvent } from "../../model/event.ts";
import type { UserId } from "../../model/ids.ts";
import type { Connection } from "../../store/database.ts";
import { countUpdates, linesOfUpdates } from "../../store/relations.ts";
import { eventsById } from "../../store/events.ts";
import { accessToRooms, maySee } from "../reading/views.ts";

/**
 * Checks what messages update and relate to: messages of the same room that the sender may see, else `BAD_INPUT`; and
 * only the parent's sender may update it, else `FORBIDDEN`, but for calls, in which the other side takes part. [REL-1, UPD-2]
 * Gives the messages; those that relate where they can come without what would be refused.
 */
export async function withParents(
  connection: Connection,
  sender: UserId,
  roomId: string,
  drafts: readonly EventDraft[],
  field: (index: number) => string,
): Promise<EventDraft[]> {
  const ids = drafts.flatMap(({ updatesId, relatesTo }) => [
    ...(updatesId === undefined ? [] : [updatesId]),
    ...(relatesTo ?? []).map(({ eventId }) => eventId),
  ]);
  if (ids.length === 0) return [...drafts];
  const access = (await accessToRooms(connection, sender, [roomId])).get(roomId);
  const found = await eventsById(connection, [...new Set(ids)]);
  const parents = new Map(
    found.filter((event) => event.roomId === roomId && maySee(event, access)).map((event) => [event.eventId, event]),
  );
  const updated = drafts.flatMap(({ updatesId }) => updatesId ?? []);
  const lines = updated.length === 0 ? new Map<string, UpdateLine>() : await readLines(connection, updated);
  return drafts.map((draft, index) => {
    const passes = draft.relatesWhereItCan === true ? isAccepted : demand;
    const { updatesId, relatesTo, ...rest } = draft;
    const updates =
      updatesId !== undefined &&
      passes(() => {
        const parent = parentOf(parents, updatesId, `${field(index)}.updates`);
        checkUpdate(draft, parent, lines.get(parent.eventId)!, `${field(index)}.updates`);
      });
    const related = (relatesTo ?? []).filter(({ eventId }, n) =>
      passes(() => void parentOf(parents, eventId, `${field(index)}.relatesTo.${n}.eventId`)),
    );
    return { ...rest, ...(updates ? { updatesId } : {}), ...(related.length > 0 ? { relatesTo: related } : {}) };
  });
}

/** Throws what the check throws. */
function demand(check: () => void): boolean {
  check();
  return true;
}

function isAccepted(check: () => void): boolean {
  try {
    return demand(check);
  } catch (error) {
    if (error instanceof HearthError) return false;
    throw error;
  }
}

function parentOf(parents: ReadonlyMap<string, StoredEvent>, eventId: string, field: string): StoredEvent {
  const parent = parents.get(eventId);
  if (parent?.kind !== "MESSAGE") throw badInput(field, "names no message event of this room");
  return parent;
}

/** Updates come whole with their event, so that there is an end to how many and how deep they are. */
const maxUpdates = 1000;
const maxDepth = 20;

/** What an update would join: the events that its parent is part of, itself included, and how many updates these have. */
interface UpdateLine {
  ancestors: StoredEvent[];
  updates: number;
}

/** The lines of all parents of a batch, in two statements. */
async function readLines(connection: Connection, parentIds: readonly string[]): Promise<Map<string, UpdateLine>> {
  const lines = await linesOfUpdates(connection, [...new Set(parentIds)]);
  const rootOf = (line: StoredEvent[]): string => line.find(({ updatesId }) => updatesId === null)?.eventId ?? "";
  const counts = await countUpdates(connection, [...new Set([...lines.values()].map(rootOf))], maxUpdates);
  return new Map([...lines].map(([id, ancestors]) => [id, { ancestors, updates: counts.get(rootOf(ancestors)) ?? 0 }]));
}

function checkUpdate(draft: EventDraft, parent: StoredEvent, { ancestors, updates }: UpdateLine, field: string): void {
  // Its content is gone for good, and must not come back by an edit.
  if (ancestors.some((event) => event.redactedById !== null)) throw badInput(field, "names an event that was redacted");
  if (ancestors.length > maxDepth) throw badInput(field, `updates an update of more than ${maxDepth} others`);
  // Whoever is in a call can always leave it.
  if (updates >= maxUpdates && draft.type !== "m.call.hangup")
    throw badInput(field, `names an event that was updated ${maxUpdates} times`);
  const inCall = isSignalType(draft.type) && parent.type === "m.call.invite";
  if (parent.sender !== draft.sender && !inCall) {
    throw new HearthError("FORBIDDEN", "Only the sender of an event may update it.", { field });
  }
}
