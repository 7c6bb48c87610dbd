import { inviteIdOf, type SignalType } from "../../model/call.ts";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { callNotFound } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import { act, type ActionTools } from "./act.ts";
import { signalDraft } from "./callSignals.ts";
import { roomOfEvent, visibleEvent } from "./lookUps.ts";
import { appendingMessages } from "./sendMessages.ts";

/**
 * Sends a signal of a call that was placed. Throws `NOT_FOUND` for who doesn't see its invite, as for a call that there
 * isn't, and what the rules of the call refuse. [VOIP-2, VOIP-3]
 */
export async function sendSignal(
  tools: ActionTools,
  requester: Requester,
  signal: {
    name: string;
    type: SignalType;
    input: { callId: string; actionId?: string | null | undefined; suppressOnStream: boolean };
    content: Record<string, unknown>;
  },
): Promise<StoredEvent> {
  const { name, type, input } = signal;
  const { userId } = requester;
  const inviteId = inviteIdOf(input.callId);
  if (inviteId === null) throw callNotFound();
  const roomId = await roomOfEvent(tools, requester, { eventId: inviteId, actionId: input.actionId }, callNotFound);
  const asked = { type, sender: userId, content: canonicalJson(signal.content, ""), updatesId: inviteId };
  const append = appendingMessages(tools, roomId, [signalDraft(tools, requester, asked, "call")], () => "call");
  const [event] = await act(tools, {
    requester,
    name,
    input,
    roomId,
    async plan(known, connection) {
      const invite = await visibleEvent(connection, userId, inviteId, callNotFound);
      // Invites that were inserted into the past place no calls.
      if (invite.type !== "m.call.invite" || invite.insertedAfterId !== null) throw callNotFound();
      return append(known, connection);
    },
  });
  return event!;
}
