import { inviteIdOf, type SignalType } from "../../model/call.ts";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { callNotFound } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import type { Requester } from "../../model/requester.ts";
import { callsById } from "../../store/calls.ts";
import type { Connection } from "../../store/database.ts";
import { eventsById } from "../../store/events.ts";
import { accessToRooms, maySee } from "../reading/views.ts";
import { act, type ActionTools } from "./act.ts";
import { signalDraft } from "./callSignals.ts";
import { roomDoneIn } from "./lookUps.ts";
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
  const roomId = inviteId && (await roomOfCall(tools, requester, inviteId, input.actionId));
  if (inviteId === null || roomId === null) throw callNotFound();
  const asked = { type, sender: userId, content: canonicalJson(signal.content, ""), updatesId: inviteId };
  const append = appendingMessages(tools, roomId, [signalDraft(tools, requester, asked, "call")], () => "call");
  const [event] = await act(tools, {
    requester,
    name,
    input,
    roomId,
    async plan(known, connection) {
      await mustSee(connection, userId, input.callId, inviteId);
      return append(known, connection);
    },
  });
  return event!;
}

async function roomOfCall(
  tools: ActionTools,
  requester: Requester,
  inviteId: string,
  actionId: string | null | undefined,
): Promise<string | null> {
  const [invite] = await eventsById(tools.database.reader, [inviteId]);
  return invite?.roomId ?? roomDoneIn(tools, requester, actionId);
}

async function mustSee(connection: Connection, userId: string, callId: string, inviteId: string): Promise<void> {
  const [call] = await callsById(connection, [callId]);
  const [invite] = await eventsById(connection, [inviteId]);
  if (call === undefined || invite === undefined) throw callNotFound();
  const access = await accessToRooms(connection, userId, [invite.roomId]);
  if (!maySee(invite, access.get(invite.roomId))) throw callNotFound();
}
