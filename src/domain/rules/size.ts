import { HearthError } from "../../model/errors.ts";
import { relationsJson, type EventDraft } from "../../model/event.ts";

/** An event is at most this many bytes of canonical JSON. [EV-8] */
const maxEventBytes = 65_536;
/** What a document has besides the keys that are counted: event id, time and punctuation. */
const fixedBytes = 256;

/** Throws `TOO_LARGE` for an event that would be too large with `reserved` bytes more. [EV-8] */
export function checkSize(draft: EventDraft, roomId: string, reserved = 0): void {
  const relations = draft.relatesTo ? JSON.stringify(relationsJson(draft.relatesTo)) : "";
  const { content, type, stateKey = "", sender, signatures = "" } = draft;
  const counted = [content ?? "", type, stateKey, sender, roomId, relations, signatures];
  const bytes = counted.reduce((sum, part) => sum + Buffer.byteLength(part), fixedBytes + reserved);
  if (bytes > maxEventBytes) {
    const field = signatures === "" ? `${draft.inputPath ?? ""}content` : "signatures";
    throw new HearthError("TOO_LARGE", `${field}: makes the event larger than ${maxEventBytes} bytes.`, { field });
  }
}
