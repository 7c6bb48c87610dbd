import { contentOf, type AnyEvent } from "./event.ts";

/** The words that older clients have for presence. */
const olderPresence: Record<string, string> = { ONLINE: "online", IDLE: "unavailable", OFFLINE: "offline" };

/** Typing, presence, or the move of a read marker, in the older form. [AS-13] */
export function olderEphemeral(event: AnyEvent): Record<string, unknown> {
  const content = contentOf(event) ?? {};
  if (event.kind !== "EPHEMERAL") {
    const read = { [event.stateKey ?? ""]: { ts: event.sentAt } };
    return { type: "m.receipt", room_id: event.roomId, content: { [String(content["event_id"])]: { "m.read": read } } };
  }
  if (event.type === "m.presence") return olderPresenceOf(event.sender, content);
  return { type: event.type, room_id: event.roomId, content };
}

function olderPresenceOf(sender: string, content: Record<string, unknown>): Record<string, unknown> {
  const state = String(content["state"]);
  return {
    type: "m.presence",
    sender,
    content: {
      user_id: sender,
      presence: olderPresence[state] ?? "offline",
      currently_active: state === "ONLINE",
      ...(content["status"] === undefined ? {} : { status_msg: content["status"] }),
    },
  };
}
