import type { RoomView } from "../../model/room.ts";
import { aliasesOf } from "../../store/aliases.ts";
import type { Reading } from "./reading.ts";

/** The aliases of a room on this server, the oldest first. [ALI-2] */
export function roomAliases({ connection }: Reading, { roomId }: RoomView): Promise<string[]> {
  return aliasesOf(connection, roomId);
}
