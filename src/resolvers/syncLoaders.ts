import { changedSince } from "../domain/reading/changed.ts";
import { stateConnections, type StateOfRoom } from "../domain/reading/roomStates.ts";
import { differences, type Difference } from "../domain/sync/difference.ts";
import type { InitialSync, SyncRoom } from "../domain/sync/initialSync.ts";
import type { Domain } from "../domain/domain.ts";
import type { EventConnection, StateConnection } from "../model/connection.ts";
import { groupBy } from "../model/groupBy.ts";
import type { Batched } from "./batching.ts";

/** What the rooms of a sync load: for all rooms at once, so that the number of statements doesn't depend on theirs. */
export interface SyncLoaders {
  difference(room: SyncRoom): Promise<Difference>;
  /** The state is read into events when the function is called. */
  state(room: SyncRoom, args: PageArguments): Promise<() => StateConnection>;
  changed(room: SyncRoom, args: PageArguments & { first: number }): Promise<EventConnection>;
}

interface PageArguments {
  first?: number | null;
  after?: string | null;
}

export function syncLoaders({ reading, tokens }: Domain, batched: Batched): SyncLoaders {
  const roomDifferences = batched(async (rooms: readonly SyncRoom[]) => {
    const found = new Map<SyncRoom, Difference>();
    for (const [sync, group] of bySync(rooms, (room) => room)) {
      const request = { upTo: sync.position, limit: sync.limit, filter: sync.filter };
      const result = await differences(reading, group, request);
      group.forEach((room, index) => found.set(room, result[index]!));
    }
    return rooms.map((room) => found.get(room)!);
  });
  const difference = (room: SyncRoom): Promise<Difference> => roomDifferences.load(room);

  const states = batched(async (keys: readonly { room: SyncRoom; args: PageArguments }[]) => {
    // What is new as a whole needs no look at its timeline, so that both are read side by side.
    const known = keys.some(({ room }) => room.since !== null)
      ? await Promise.all(keys.map(async ({ room }) => (room.since === null ? null : difference(room))))
      : [];
    const asked = keys.map((key, index) => ({ ...key, since: known[index]?.incremental ? key.room.since : null }));
    const found = new Map<number, () => StateConnection>();
    for (const [sync, group] of bySync(
      asked.map((key, index) => ({ ...key, index })),
      ({ room }) => room,
    )) {
      for (const same of groupBy(group, ({ args }) => JSON.stringify(args)).values()) {
        const rooms: StateOfRoom[] = same.map(({ room, since }) => ({ view: room.view, at: sync.position, since }));
        const result = await stateConnections(reading, rooms, { ...same[0]!.args, filter: sync.stateFilter });
        same.forEach(({ index }, n) => found.set(index, result[n]!));
      }
    }
    return keys.map((_key, index) => found.get(index)!);
  });

  const changes = batched(async (keys: readonly { room: SyncRoom; args: PageArguments & { first: number } }[]) => {
    const found = new Map<number, EventConnection>();
    for (const [sync, group] of bySync(
      keys.map((key, index) => ({ ...key, index })),
      ({ room }) => room,
    )) {
      for (const same of groupBy(group, ({ args }) => JSON.stringify(args)).values()) {
        const rooms = same.map(({ room }) => ({ view: room.view, since: room.since, upTo: sync.position }));
        const result = await changedSince(reading, rooms, { ...same[0]!.args, filter: sync.filter });
        same.forEach(({ index }, n) => found.set(index, result[n]!));
      }
    }
    return keys.map((_key, index) => found.get(index)!);
  });

  return {
    difference,
    // Tokens are looked at here, where a bad one fails its own field alone and reaches no other room.
    async state(room, args) {
      if (typeof args.after === "string") tokens.readChunk(args.after, "state", room.view.roomId);
      return states.load({ room, args });
    },
    async changed(room, args) {
      if (typeof args.after === "string") tokens.readChunk(args.after, "room", room.view.roomId);
      return changes.load({ room, args });
    },
  };
}

/** A document may hold several syncs, and a page of one may be pinned to another position. */
function bySync<Item>(items: readonly Item[], roomOf: (item: Item) => SyncRoom): Map<InitialSync, Item[]> {
  return groupBy(items, (item) => roomOf(item).sync);
}
