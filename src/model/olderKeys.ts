import { HearthError } from "./errors.ts";
import { emptyStateKey } from "./event.ts";
import { isUserId } from "./ids.ts";

/**
 * The state key of the older form: `_` is the empty one, `_key` is `key`. User ids and this server's own keys are the same in
 * both forms. A key that has no older form stands as it is. [AS-13]
 */
export function olderKey(stateKey: string, serverName: string): string {
  return hasOlderKey(stateKey, serverName) && stateKey.startsWith(emptyStateKey) ? stateKey.slice(1) : stateKey;
}

/** Whether a state key has an older form: but for `_@…` and `_` with this server's name, whose older forms are others'. [AS-13] */
export function hasOlderKey(stateKey: string, serverName: string): boolean {
  if (!stateKey.startsWith(emptyStateKey)) return true;
  const key = stateKey.slice(1);
  return !key.startsWith("@") && !isOwn(key, serverName);
}

/** The state key that an older one stands for; `olderKey` gives it back. Throws `BAD_STATE_KEY` for one that stands for none. */
export function newerKey(key: string, serverName: string): string {
  if (isOwn(key, serverName)) return key;
  if (!key.startsWith("@")) return `${emptyStateKey}${key}`;
  if (isUserId(/^@[^:]+:[^/]+/.exec(key)?.[0] ?? "")) return key;
  throw new HearthError("BAD_STATE_KEY", "stateKey: begins with @ but names no user.", { field: "stateKey" });
}

/** Whether it belongs to this server: its name, or a path below it. */
function isOwn(key: string, serverName: string): boolean {
  return key === serverName || key.startsWith(`${serverName}/`);
}
