import { HearthError } from "../../model/errors.ts";
import type { EventDraft } from "../../model/event.ts";
import { hasOlderKey } from "../../model/olderKeys.ts";
import { isBridged } from "../../store/appServices.ts";
import type { Connection } from "../../store/database.ts";
import { located } from "./plan.ts";

/** Throws `BAD_STATE_KEY` for state that no application service could be told of, in a room that one is told of. [AS-13] */
export async function demandOlderKeys(
  connection: Connection,
  roomId: string,
  drafts: readonly EventDraft[],
  serverName: string,
): Promise<void> {
  const problem = withoutOlderKey(drafts, serverName);
  if (problem !== null && (await isBridged(connection, roomId))) throw problem;
}

/** What refuses the first of these events whose state key has no older form; null without any. */
export function withoutOlderKey(drafts: readonly EventDraft[], serverName: string): unknown {
  const draft = drafts.find(({ stateKey }) => stateKey !== undefined && !hasOlderKey(stateKey, serverName));
  if (draft === undefined) return null;
  const message = "stateKey: has no form that application services know, and the room is told to one.";
  return located(new HearthError("BAD_STATE_KEY", message, { field: "stateKey" }), draft, false);
}
