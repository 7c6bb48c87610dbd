import type { StoredEvent } from "../../model/event.ts";
import { badInput } from "../../model/errors.ts";
import * as store from "../../store/state.ts";
import type { Reading } from "./reading.ts";

/** A state slot, in the present or as of the position until which somebody may see the room. */
export interface Slot {
  roomId: string;
  until: number | null;
  type: string;
  stateKey: string;
}

/** The events in these slots, in their order, null where a slot is empty; one statement. */
export async function stateInSlots(
  { connection, head }: Reading,
  slots: readonly Slot[],
): Promise<(StoredEvent | null)[]> {
  const asked = slots.map(({ until, ...slot }) => ({ ...slot, at: until ?? head.position }));
  const events = await store.stateInSlots(connection, asked);
  const bySlot = new Map<string, StoredEvent[]>();
  for (const event of events) {
    const name = slotName(event.roomId, event.type, event.stateKey ?? "");
    bySlot.set(name, [...(bySlot.get(name) ?? []), event]);
  }
  // A slot may be asked for at several positions, so that the newest of its events there is the answer.
  return asked.map(({ roomId, type, stateKey, at }) => {
    const held = bySlot.get(slotName(roomId, type, stateKey)) ?? [];
    return held.filter((event) => event.place.major <= at).sort((a, b) => b.place.major - a.place.major)[0] ?? null;
  });
}

function slotName(roomId: string, type: string, stateKey: string): string {
  return JSON.stringify([roomId, type, stateKey]);
}

/** Names that no state can have would reach the store otherwise. */
export function checkSlotName(value: string, field: string): void {
  if (value.includes("\0") || !value.isWellFormed()) throw badInput(field, "holds characters that no state has");
}
