import { z } from "zod";
import { check } from "../../model/check.ts";
import { eventNotFound, HearthError } from "../../model/errors.ts";
import { eventId, roomId as idOfRoom } from "../../model/ids.ts";
import { markerKinds, type Marker } from "../../model/marker.ts";
import type { Requester } from "../../model/requester.ts";
import { markersOfUsers } from "../../store/markers.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { present } from "./plan.ts";
import { roomOfEvent, visibleEvent } from "./lookUps.ts";

const setMarkerInput = z.strictObject({
  ...commonInput,
  eventId,
  kind: z.enum(markerKinds),
  private: z.boolean().default(false),
  /** The room that the event has to be in, where it is said. */
  roomId: idOfRoom.nullish(),
});

/**
 * Moves the requester's marker of a kind forward to an event, which it includes. A marker never moves back: to set it where
 * it stands, or before that, changes nothing. A private one is shown to the requester's devices alone, and is theirs as
 * long as it is further than what others see. Gives the marker as the requester has it now. [ACT-11]
 * Throws `NOT_FOUND` for events that they may not see, `FORBIDDEN` for rooms that they aren't in.
 */
export async function setMarker(tools: ActionTools, requester: Requester, given: unknown): Promise<Marker> {
  const input = check(setMarkerInput, given);
  const { userId } = requester;
  const roomId = await roomOfEvent(tools, requester, input);
  if (input.roomId && input.roomId !== roomId) throw eventNotFound();
  await act(tools, {
    requester,
    name: "setMarker",
    input,
    roomId,
    async plan(known, connection) {
      const { place } = await visibleEvent(connection, userId, input.eventId);
      const room = present(known);
      if (room.membership(userId) !== "join") throw new HearthError("FORBIDDEN", "You are not in the room.");
      const moveId = tools.ids.eventId(tools.clock.now());
      const move = { moveId, userId, kind: input.kind, private: input.private, markedId: input.eventId, place };
      return { mark: { ...move, setAt: tools.clock.now() }, room };
    },
  });
  const wanted = [{ roomId, userId, kind: input.kind }];
  const [marker] = await markersOfUsers(tools.database.reader, userId, wanted);
  // Gone with its room.
  if (marker === null || marker === undefined) throw eventNotFound();
  return marker;
}
