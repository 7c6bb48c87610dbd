import { HearthError } from "../../model/errors.ts";
import { relationsJson, type EventDraft } from "../../model/event.ts";

/** An event is at most this many bytes of canonical JSON. [EV-8] */
const maxEventBytes = 65_536;
/** What a document has besides the keys that are counted: event id, time and punctuation. */
const fixedBytes = 256;

/** Throws `TOO_LARGE` for an event that has more bytes than any may have. [EV-8] */
export function checkSize(draft: EventDraft, roomId: string): void {
  const relations = draft.relatesTo ? JSON.stringify(relationsJson(draft.relatesTo)) : "";
  const counted = [draft.content ?? "", draft.type, draft.stateKey ?? "", draft.sender, roomId, relations];
  const bytes = counted.reduce((sum, part) => sum + Buffer.byteLength(part), fixedBytes);
  if (bytes > maxEventBytes) {
    throw new HearthError("TOO_LARGE", `content: makes the event larger than ${maxEventBytes} bytes.`, {
      field: "content",
    });
  }
}
