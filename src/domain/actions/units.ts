import { movesAuth } from "../../model/event.ts";
import type { Clock, Ids } from "../../model/ports.ts";
import type { Requester } from "../../model/requester.ts";
import type { BatchUnit } from "../../store/append.ts";
import type { RoomAuthority } from "../rules/authority.ts";
import { checkSize } from "../rules/size.ts";
import type { Plan } from "./plan.ts";

/** Whether a unit changes nothing, and at most remembers that it was asked for. */
export function isIdle(unit: BatchUnit): boolean {
  return unit.events.length === 0 && unit.markers === undefined && !unit.rejects?.length;
}

/** A unit without events: of a marker, or one that only remembers what answers the action. */
export function bareUnit(
  roomId: string,
  room: RoomAuthority | null,
  action: BatchUnit["action"],
  answerIds: string[],
): BatchUnit {
  return { roomId, version: room?.version ?? null, nextVersion: null, newRoom: null, action, answerIds, events: [] };
}

/** The unit of a plan: its events with ids, times and what they make of the room's version. Throws `TOO_LARGE`. */
export function unitOf(
  { clock, ids }: { clock: Clock; ids: Ids },
  {
    requester,
    input,
    roomId,
  }: {
    requester: Requester;
    input: { suppressOnStream?: boolean; sentAt?: number | null | undefined };
    roomId: string;
  },
  { append, newRoom = null, rejects = [], calls, slots, aliases, registry, room }: Extract<Plan, { append: unknown }>,
  action: BatchUnit["action"],
): BatchUnit {
  const now = clock.now();
  let version = room.version ?? 0;
  const events = append.map((draft) => {
    checkSize(draft, roomId);
    return {
      ...draft,
      eventId: draft.eventId ?? ids.eventId(now),
      sentAt: draft.sentAt ?? input.sentAt ?? now,
      ...(draft.sender === requester.userId ? {} : { actor: requester.userId }),
      device: requester.deviceId,
      actionId: draft.actionId ?? action?.actionId,
      suppressed: input.suppressOnStream ?? false,
      authVersion: movesAuth(draft) ? ++version : null,
    };
  });
  const parts = events.flatMap(({ actionId, eventId }) =>
    actionId !== undefined && actionId !== action?.actionId ? [{ actionId, eventId }] : [],
  );
  const moved = version !== (room.version ?? 0);
  return {
    roomId,
    version: room.version,
    nextVersion: moved ? version : null,
    newRoom,
    action: action && { ...action, parts },
    answerIds: events.map((event) => event.eventId),
    events,
    rejects,
    ...(calls === undefined ? {} : { calls }),
    ...(slots === undefined ? {} : { slots }),
    ...(aliases === undefined ? {} : { aliases }),
    ...(registry === undefined ? {} : { registry }),
  };
}
