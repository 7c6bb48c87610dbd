import type { AnyEvent } from "../../model/event.ts";
import { passes } from "../../model/patterns.ts";
import type { Selection } from "../../model/selection.ts";

/** Whether a filter lets an event pass: its type, sender and room. What live streams go by. [FIL-2, FIL-3, REL-3, UPD-1] */
export function selects(selection: Selection, event: AnyEvent): boolean {
  return (
    passes(selection.types[event.kind], event.type) &&
    passes(selection.senders, event.sender) &&
    (event.roomId === null || passes(selection.rooms, event.roomId))
  );
}

/** Whether a timeline lists an event that passes on its own, rather than inside its parent. [REL-3, UPD-1] */
export function listsAlone({ hidesUpdates, hidesRelations }: Selection, event: AnyEvent): boolean {
  if (event.kind === "EPHEMERAL") return true;
  if (hidesUpdates && event.updatesId !== null) return false;
  return hidesRelations === null || !event.relatesTo.some(({ type }) => passes(hidesRelations, type));
}
