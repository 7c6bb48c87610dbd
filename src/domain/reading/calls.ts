import { inviteIdOf, type Call, type CallView } from "../../model/call.ts";
import * as store from "../../store/calls.ts";
import { visibleEvents } from "./history.ts";
import type { Reading } from "./reading.ts";

/** Calls by id, as far as the user may see their invites; the others are left out. [EV-9] */
export async function callsById(
  reading: Reading,
  userId: string,
  callIds: readonly string[],
): Promise<Map<string, CallView>> {
  const views = await visible(reading, userId, await store.callsById(reading.connection, callIds));
  return new Map(views.map((view) => [view.callId, view]));
}

/** The calls of rooms that haven't ended, by room, the oldest first. */
export async function liveCallsIn(reading: Reading, userId: string, roomIds: readonly string[]): Promise<CallView[]> {
  const calls = await store.liveCallsIn(reading.connection, roomIds);
  return visible(
    reading,
    userId,
    calls.sort((a, b) => a.createdAt - b.createdAt),
  );
}

/** The calls that the user placed or gets and that haven't ended, the oldest first. */
export async function liveCallsOf(reading: Reading, userId: string): Promise<CallView[]> {
  return visible(reading, userId, await store.liveCallsOf(reading.connection, userId));
}

async function visible(reading: Reading, userId: string, calls: readonly Call[]): Promise<CallView[]> {
  if (calls.length === 0) return [];
  const invites = await visibleEvents(
    reading,
    userId,
    calls.map(({ callId }) => inviteIdOf(callId)!),
  );
  return calls.flatMap((call) => {
    const invite = invites.get(inviteIdOf(call.callId)!);
    return invite === undefined ? [] : [{ ...call, invite }];
  });
}
