import { changedSince } from "../domain/reading/changed.ts";
import { stateConnections, type StateOfRoom } from "../domain/reading/roomStates.ts";
import { differences, type Difference } from "../domain/sync/difference.ts";
import type { InitialSync, SyncRoom } from "../domain/sync/initialSync.ts";
import type { Domain } from "../domain/domain.ts";
import type { EventConnection, StateConnection } from "../model/connection.ts";
import { inGroups, type Batched } from "./batching.ts";

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
  const roomDifferences = batched((rooms: readonly SyncRoom[]) =>
    inGroups(rooms, syncOf, (group) => {
      const { position, limit, filter } = group[0]!.sync;
      return differences(reading, group, { upTo: position, limit, filter });
    }),
  );
  const difference = (room: SyncRoom): Promise<Difference> => roomDifferences.load(room);

  const states = batched(async (keys: readonly { room: SyncRoom; args: PageArguments }[]) => {
    // What is new as a whole needs no look at its timeline, so that both are read side by side.
    const known = keys.some(({ room }) => room.since !== null)
      ? await Promise.all(keys.map(async ({ room }) => (room.since === null ? null : difference(room))))
      : [];
    const asked = keys.map((key, index) => ({ ...key, since: known[index]?.incremental ? key.room.since : null }));
    return inCalls(asked, ({ room: { sync }, args }, group) => {
      const rooms: StateOfRoom[] = group.map(({ room, since }) => ({ view: room.view, at: sync.position, since }));
      return stateConnections(reading, rooms, { ...args, filter: sync.stateFilter, markers: "sync" });
    });
  });

  const changes = batched((keys: readonly { room: SyncRoom; args: PageArguments & { first: number } }[]) =>
    inCalls(keys, ({ room: { sync }, args }, group) => {
      const rooms = group.map(({ room }) => ({ view: room.view, since: room.since, upTo: sync.position }));
      return changedSince(reading, rooms, { ...args, filter: sync.filter });
    }),
  );

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
function syncOf({ sync }: SyncRoom): InitialSync {
  return sync;
}

/** Loads for all rooms of a sync that are asked with the same arguments at once; `call` is one of them. */
function inCalls<Key extends { room: SyncRoom; args: object }, Value>(
  keys: readonly Key[],
  load: (call: Key, group: Key[]) => Promise<readonly Value[]>,
): Promise<Value[]> {
  return inGroups(
    keys,
    ({ room }) => syncOf(room),
    (ofSync) =>
      inGroups(
        ofSync,
        ({ args }) => JSON.stringify(args),
        (group) => load(group[0]!, group),
      ),
  );
}
