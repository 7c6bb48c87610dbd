import DataLoader from "dataloader";
import type { Pace } from "../model/pace.ts";

/** Makes a loader that gathers the calls of one turn. */
export type Batched = <Key, Value, Name = Key>(
  load: (keys: readonly Key[]) => Promise<readonly Value[]>,
  nameOf?: (key: Key) => Name,
) => { load(key: Key): Promise<Value> };

/**
 * Loaders that answer a repeated key from memory, or don't. While pieces of paced work are under way they wait, so that
 * what all of them ask for is one statement.
 */
export function batching(pace: Pace, { remember }: { remember: boolean }): Batched {
  // As DataLoader does it by itself: after all promises of this turn.
  const afterThisTurn = (callback: () => void): void => void Promise.resolve().then(() => process.nextTick(callback));
  const batchScheduleFn = (callback: () => void): void => pace.whenIdle(() => afterThisTurn(callback));
  const options = { cache: remember, batchScheduleFn };
  // A loader is made when it is used: most requests use none or few of the many.
  function lazily<Key, Value, Name = Key>(
    load: (keys: readonly Key[]) => Promise<readonly Value[]>,
    nameOf?: (key: Key) => Name,
  ): { load(key: Key): Promise<Value> } {
    let loader: DataLoader<Key, Value, Name> | null = null;
    return { load: (key: Key) => (loader ??= new DataLoader(load, { ...options, cacheKeyFn: nameOf })).load(key) };
  }
  return lazily;
}
