import DataLoader from "dataloader";
import { groupBy } from "../model/groupBy.ts";
import type { Pace } from "../model/pace.ts";

/** Makes a loader that gathers the calls of one turn. */
export type Batched = <Key, Value, Name = Key>(
  load: (keys: readonly Key[]) => Promise<readonly Value[]>,
  nameOf?: (key: Key) => Name,
) => Loader<Key, Value>;

export interface Loader<Key, Value> {
  load(key: Key): Promise<Value>;
  /** Answers a key with what is known already, if it remembers at all. */
  prime(key: Key, value: Value): void;
}

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
  ): Loader<Key, Value> {
    let loader: DataLoader<Key, Value, Name> | null = null;
    const made = (): DataLoader<Key, Value, Name> =>
      (loader ??= new DataLoader(load, { ...options, cacheKeyFn: nameOf }));
    return { load: (key) => made().load(key), prime: (key, value) => void made().prime(key, value) };
  }
  return lazily;
}

/** Loads keys group by group, and gives what was loaded in the order of the keys. */
export async function inGroups<Key, Value>(
  keys: readonly Key[],
  groupOf: (key: Key) => unknown,
  load: (group: Key[]) => Promise<readonly Value[]>,
): Promise<Value[]> {
  const values: Value[] = [];
  const numbered = keys.map((key, index) => ({ key, index }));
  for (const group of groupBy(numbered, ({ key }) => groupOf(key)).values()) {
    const loaded = await load(group.map(({ key }) => key));
    for (const [n, { index }] of group.entries()) values[index] = loaded[n]!;
  }
  return values;
}
