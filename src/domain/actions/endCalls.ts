import type { Call, CallDevice, CallEndReason } from "../../model/call.ts";
import { HearthError } from "../../model/errors.ts";
import type { Requester } from "../../model/requester.ts";
import { callsById, liveCallsOf, setParties } from "../../store/calls.ts";
import type { Connection } from "../../store/database.ts";
import { withoutParty } from "../rules/calls.ts";
import { act, type ActionTools } from "./act.ts";
import { ending } from "./callSignals.ts";
import { present } from "./plan.ts";

/**
 * Ends a call in the server's name, if it is live and `holds` says so of the call as it is then. Of several processes that
 * want it one does it, and the others find it done. [VOIP-5]
 */
export async function endCall(
  tools: ActionTools,
  { callId, roomId }: Call,
  reason: CallEndReason,
  holds: (call: Call, connection: Connection) => boolean | Promise<boolean>,
): Promise<void> {
  const { serverName } = tools;
  const server: Requester = { userId: serverName, deviceId: "calls", admin: true, tokenId: "calls" };
  try {
    await act(tools, {
      requester: server,
      name: "endCall",
      input: {},
      roomId,
      async plan(known, connection) {
        const room = present(known);
        const [call] = await callsById(connection, [callId]);
        if (call === undefined || call.state === "ENDED" || !(await holds(call, connection))) return { unchanged: [] };
        const { hangup, move } = ending(serverName, call, reason);
        return { append: [hangup], calls: [move], room };
      },
    });
  } catch (error) {
    // With its room everything of a call is gone.
    if (!(error instanceof HearthError) || error.code !== "NOT_FOUND") throw error;
  }
}

/**
 * What the end of a device's session does to its calls: those that it placed, or was acknowledged in, end with a hangup
 * that says so; where it has only answered or rejected, nobody can acknowledge it any more. [VOIP-5]
 */
export async function endCallsOf(tools: ActionTools, userId: string, deviceId: string): Promise<void> {
  const device = { userId, deviceId };
  for (const call of await liveCallsOf(tools.database.reader, userId)) {
    if (isParty(call, device)) await forgetParty(tools, call, device);
    // After the other, since the caller may have acknowledged the device meanwhile.
    await endCall(tools, call, "SESSION_ENDED", (now) => isChosen(now, device));
  }
}

/** Whether the call is between this device and another, so that it can't go on without it. */
function isChosen({ caller, callerDevice, acceptedBy }: Call, { userId, deviceId }: CallDevice): boolean {
  if (caller === userId && callerDevice === deviceId) return true;
  return acceptedBy?.userId === userId && acceptedBy.deviceId === deviceId;
}

function isParty({ parties }: Call, { userId, deviceId }: CallDevice): boolean {
  return parties.some((party) => party.userId === userId && party.deviceId === deviceId);
}

async function forgetParty(tools: ActionTools, { callId }: Call, device: CallDevice): Promise<void> {
  const { reader } = tools.database;
  for (;;) {
    const [call] = await callsById(reader, [callId]);
    if (call === undefined || call.acceptedBy !== null || !isParty(call, device)) return;
    if (call.state === "ENDED" || (await setParties(reader, withoutParty(call, device)))) return;
  }
}
