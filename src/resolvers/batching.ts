import DataLoader from "dataloader";

/** Makes a loader that gathers the calls of one turn. */
export type Batched = <Key, Value, Name = Key>(
  load: (keys: readonly Key[]) => Promise<readonly Value[]>,
  nameOf?: (key: Key) => Name,
) => DataLoader<Key, Value, Name>;

/** Loaders that answer a repeated key from memory, or don't. */
export function batching({ remember }: { remember: boolean }): Batched {
  return (load, nameOf) => new DataLoader(load, { cache: remember, cacheKeyFn: nameOf });
}
