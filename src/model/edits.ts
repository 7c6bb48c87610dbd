import { contentOf, type StoredEvent } from "./event.ts";

/**
 * The edit that holds for an event: the newest of its updates that its sender made, of its own type, not redacted.
 * A redacted event has none. [UPD-1, UPD-2]
 */
export function latestEdit(event: StoredEvent, updates: readonly StoredEvent[]): StoredEvent | null {
  if (event.redactedById !== null) return null;
  const edits = updates.filter(
    ({ type, sender, redactedById }) => type === event.type && sender === event.sender && redactedById === null,
  );
  return edits.at(-1) ?? null;
}

/** The event with an edit's content in place of its own: what `m.new_content` holds, else the edit's whole content. */
export function edited(event: StoredEvent, edit: StoredEvent): StoredEvent {
  const replaced = contentOf(edit)?.["m.new_content"];
  const whole = typeof replaced !== "object" || replaced === null || Array.isArray(replaced);
  return { ...event, content: whole ? edit.content : JSON.stringify(replaced) };
}
