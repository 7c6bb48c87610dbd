import type { Domain } from "../../src/domain/domain.ts";
import { unreadCounts } from "../../src/domain/reading/markers.ts";
import { accessToRooms, type RoomAccess } from "../../src/domain/reading/views.ts";
import { groupBy } from "../../src/model/groupBy.ts";
import type { Mirror } from "../kit/mirror.ts";
import type { Snapshot } from "../kit/mirror/snapshot.ts";
import type { Scene } from "./actions.ts";
import { expectGapFree } from "./gaps.ts";
import { readJournal, type Journal } from "./journal.ts";
import { expectMarkers, expectShown, unreadIn } from "./markers.ts";
import { expectInserted, expectWalk } from "./places.ts";
import type { Poller } from "./poller.ts";
import { expectAccess, expectReplayed, expectRestored, type Rooms } from "./rejections.ts";
import { disputed, insertedBehind } from "./visibility.ts";
import type { World } from "./world.ts";

/** A mirror and the process that it follows. */
interface Client {
  mirror: Mirror;
  domain: Domain;
}

/** Throws unless all that clients know, and all that a fresh sync says, is what the journal of the database leads to. */
export async function expectAtRest(
  world: World,
  scene: Scene,
  clients: readonly Client[],
  poller: Poller,
): Promise<Journal> {
  const journal = await readJournal(world, scene.userIds);
  const rooms: Rooms = groupBy(journal.events, ({ room }) => room);
  const lost = scene.events.find(({ eventId }) => !journal.byId.has(eventId));
  if (lost !== undefined) throw new Error(`${lost.eventId} was answered, and isn't there`);
  expectInserted(rooms, journal);
  expectRestored(rooms, journal);
  for (const [index, { mirror, domain }] of clients.entries()) {
    const { userId } = mirror.requester;
    const differing = new Set([...rooms.values()].flatMap((events) => [...disputed(journal, events, userId)]));
    const doubtful = new Set([...differing, ...insertedBehind(journal, mirror.skipped)]);
    await mirror.reach(journal.last);
    // Between what is read anew and what still comes down the stream, a client goes by the marked places.
    expectShown(userId, [mirror.moves, ...mirror.markersRead.map((each) => [each])], journal);
    const fresh = await mirror.check(journal.last, doubtful);
    if (index === 0) {
      await poller.poll(domain);
      poller.check(fresh, new Set([...differing, ...insertedBehind(journal, poller.differences)]));
      expectShown(userId, [poller.markers], journal);
    }
    expectGapFree(mirror, journal);
    expectMarkers(userId, fresh, journal);
    expectReplayed(userId, fresh, rooms, journal);
    const access = await accessToRooms(domain.reading.connection, userId, [...rooms.keys()]);
    expectAccess(userId, access, rooms, journal);
    await expectUnread({ mirror, domain }, fresh, { access, doubtful, journal });
    for (const kept of index === 0 ? scene.kept : []) {
      const view = access.get(kept.roomId)!.view;
      if (view !== null) await expectWalk(domain, { viewer: userId, view, kept }, rooms, journal);
    }
  }
  return journal;
}

/** Throws unless the server counts as unread what the mirror's timeline holds unread. [ACT-11] */
async function expectUnread(
  { mirror, domain }: Client,
  fresh: Snapshot,
  known: { access: ReadonlyMap<string, RoomAccess>; doubtful: ReadonlySet<string>; journal: Journal },
): Promise<void> {
  if (fresh.rooms.length === 0) return;
  const { userId } = mirror.requester;
  const views = fresh.rooms.map(({ roomId }) => known.access.get(roomId)!.view!);
  const counts = await unreadCounts(domain.reading, userId, views);
  for (const [index, { roomId, timeline, moreBefore }] of fresh.rooms.entries()) {
    const held = mirror.model.rooms.get(roomId)!.timeline;
    const doubtful = [...known.doubtful].some((id) => known.journal.byId.get(id)!.room === roomId);
    // Where the client may hold something else than a fresh sync, its own timeline isn't what counts.
    const more = moreBefore || held.length < timeline.length;
    const counted = {
      viewer: userId,
      roomId,
      ...(doubtful ? { timeline, moreBefore } : { timeline: held, moreBefore: more }),
    };
    const due = unreadIn(counted, known.journal);
    if (due === null || JSON.stringify(due) === JSON.stringify(counts[index])) continue;
    throw new Error(
      `[ACT-11] ${userId} has ${JSON.stringify(counts[index])} unread in ${roomId} instead of ${JSON.stringify(due)}`,
    );
  }
}
