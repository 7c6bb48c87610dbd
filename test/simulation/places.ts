import { roomPage } from "../../src/domain/reading/pages.ts";
import type { Domain } from "../../src/domain/domain.ts";
import type { RoomView } from "../../src/model/room.ts";
import { inOrder, type Journal } from "./journal.ts";
import type { Rooms } from "./rejections.ts";
import { Reader } from "./visibility.ts";

/** A token of a place in a room that somebody has kept. */
export interface KeptToken {
  token: string;
  roomId: string;
  /** The event whose place it is. */
  eventId: string;
}

/** Throws unless each insertion landed straight after its event, before what stood there then, at a place of its own. [EVS-6] */
export function expectInserted(byRoom: Rooms, { byId }: Journal): void {
  for (const [roomId, events] of byRoom) {
    const places = new Set(events.map(({ major, minor }) => `${major} ${minor}`));
    if (places.size < events.length) throw new Error(`[EVS-6] events of ${roomId} share a place`);
    for (const event of events) {
      if (event.insertedAfter === null) continue;
      const after = byId.get(event.insertedAfter)!;
      const between = events.filter(
        (each) => each.seq < event.seq && inOrder(after, each) < 0 && inOrder(each, event) < 0,
      );
      if (inOrder(after, event) < 0 && between.length === 0) continue;
      throw new Error(`[EVS-6] ${event.id} isn't straight after ${after.id}: ${between.map(({ id }) => id).join()}`);
    }
  }
}

const pageSize = 25;

/** Walks a room both ways from a token that was kept; throws unless all that the user may read is there, in order. [STR-4] */
export async function expectWalk(
  { reading }: Domain,
  { viewer, view, kept }: { viewer: string; view: RoomView; kept: KeptToken },
  byRoom: Rooms,
  { rejected }: Journal,
): Promise<void> {
  const walked: string[][] = [[], []];
  for (let token: string | null = kept.token; token !== null;) {
    const page = await roomPage(reading, view, { before: token, last: pageSize });
    walked[0]!.unshift(...page.edges.map(({ node }) => node.eventId));
    token = page.hasPreviousPage ? page.edges[0]!.cursor : null;
  }
  for (let token: string | null = kept.token; token !== null;) {
    const page = await roomPage(reading, view, { after: token, first: pageSize });
    walked[1]!.push(...page.edges.map(({ node }) => node.eventId));
    token = page.hasNextPage ? page.edges.at(-1)!.cursor : null;
  }
  const events = byRoom.get(kept.roomId)!;
  const reader = new Reader(events, viewer, new Set(rejected.keys()));
  const at = events.find(({ id }) => id === kept.eventId)!;
  const readable = events.filter((event) => event.updates === null && reader.reads(event)).sort(inOrder);
  const sides = [
    readable.filter((event) => inOrder(event, at) < 0),
    readable.filter((event) => inOrder(event, at) > 0),
  ].map((side) => side.map(({ id }) => id));
  if (JSON.stringify(sides) === JSON.stringify(walked)) return;
  throw new Error(
    `[STR-4] ${viewer} walked ${kept.roomId} from ${kept.eventId}:\n${walked.join("\n")}\ninstead of\n${sides.join("\n")}`,
  );
}
