import { HearthError } from "../../model/errors.ts";
import type { Membership } from "../../model/content/typed.ts";
import { roomsToLeave } from "../../store/accountDeletion.ts";
import { act, type ActionTools } from "../actions/act.ts";
import { membershipDraft } from "../actions/membership.ts";
import { present } from "../actions/plan.ts";

/** Rooms that are left at the same time: the writer makes one batch of them. */
const atOnce = 50;

/**
 * Leaves all rooms of a user, rejects invites and withdraws knocks, whatever the policy says. Rooms that were left are
 * passed over; `step` is called now and then, and may throw. What fails in one room keeps nothing from being done in the
 * others; it is thrown at the end.
 */
export async function leaveAllRooms(tools: ActionTools, userId: string, step: () => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  let after = "";
  for (;;) {
    const rooms = await roomsToLeave(tools.database.reader, userId, after, atOnce);
    if (rooms.length === 0) break;
    after = rooms.at(-1)!.roomId;
    const left = await Promise.allSettled(rooms.map(({ roomId }) => leave(tools, userId, roomId)));
    failures.push(...left.flatMap((each) => (each.status === "rejected" ? [each.reason as unknown] : [])));
    await step();
  }
  if (failures.length > 0) throw new AggregateError(failures, `leaving ${failures.length} rooms failed`);
}

async function leave(tools: ActionTools, userId: string, roomId: string): Promise<void> {
  const { serverName } = tools;
  try {
    await act(
      { ...tools, policy: null },
      {
        requester: { userId: serverName, deviceId: "accounts", admin: true, tokenId: "accounts" },
        name: "leaveAllRooms",
        input: {},
        roomId,
        userIds: [userId],
        plan(known) {
          const room = present(known);
          const next = outOf(room.membership(userId));
          return next === undefined ? { unchanged: [] } : { append: [membershipDraft(userId, userId, next)], room };
        },
      },
    );
  } catch (error) {
    // An admin deletes the room, which makes everybody leave.
    if (!(error instanceof HearthError) || error.code !== "NOT_FOUND") throw error;
  }
}

/** The membership that ends one: an invite that is rejected leaves none [ACT-4]; undefined: there is nothing to end. */
function outOf(membership: Membership | null): Membership | null | undefined {
  if (membership === "join" || membership === "knock") return "leave";
  return membership === "invite" ? null : undefined;
}
