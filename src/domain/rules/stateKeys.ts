import { HearthError } from "../../model/errors.ts";
import { isServerName, isUserId, maxIdBytes } from "../../model/ids.ts";

/** Who a state key belongs to: nobody in particular, a user, or a server. [EV-2] */
export type KeyOwner = { kind: "anyone" } | { kind: "user"; userId: string } | { kind: "server"; server: string };

/**
 * Reads a state key of event version 2: `_…`, `@user:server[/path]` or `server[/path]`. [EV-2]
 * Throws `BAD_STATE_KEY` for any other. A server's name has a dot or a port, unless it is this server's own.
 */
export function ownerOfKey(stateKey: string, serverName: string): KeyOwner {
  if (Buffer.byteLength(stateKey) > maxIdBytes || stateKey.includes("\0") || !stateKey.isWellFormed()) {
    throw badKey(stateKey, "is longer than 255 bytes or holds characters that no key may have");
  }
  if (stateKey.startsWith("_")) return { kind: "anyone" };
  if (stateKey.startsWith("@")) {
    // The local part may hold slashes itself, so the path begins at the first one after the server's name.
    const userId = /^@[^:]+:[^/]+/.exec(stateKey)?.[0] ?? "";
    if (!isUserId(userId)) throw badKey(stateKey, "begins with @ but names no user");
    return { kind: "user", userId };
  }
  const server = stateKey.split("/", 1)[0] ?? "";
  if (isServerName(server) && (server === serverName || /[.:]/.test(server))) return { kind: "server", server };
  throw badKey(stateKey, "begins with neither _, nor a user id, nor a server name");
}

/** Holds an event type to the keys that it takes: `_@…` takes user ids only, without a path. [EV-3] */
export function checkTypeRule(type: string, stateKey: string): void {
  if (type.startsWith("_@") && !isUserId(stateKey)) {
    throw badKey(stateKey, `is no user id, and events of type ${type} take nothing else`);
  }
}

function badKey(stateKey: string, problem: string): HearthError {
  return new HearthError("BAD_STATE_KEY", `stateKey: ${JSON.stringify(stateKey.slice(0, 100))} ${problem}.`, {
    field: "stateKey",
  });
}
