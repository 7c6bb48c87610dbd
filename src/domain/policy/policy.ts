import { z } from "zod";
import { HearthError } from "../../model/errors.ts";
import { relationsJson, type EventDraft } from "../../model/event.ts";
import type { Fetch, Log } from "../../model/ports.ts";
import type { Requester } from "../../model/requester.ts";
import { call, OutgoingError } from "../outgoing.ts";
import type { RoomAuthority } from "../rules/authority.ts";
import { changedDrafts } from "./change.ts";

/** Where the policy hook is, and what happens without it. docs/policy.md describes what it is asked. */
export interface PolicySettings {
  url: string;
  token: string | null;
  timeoutMs: number;
  /** When the hook can't be reached, is late or answers nonsense. */
  failure: "refuse" | "accept";
}

export interface PolicyTools {
  settings: PolicySettings;
  serverName: string;
  fetch: Fetch;
  log: Log;
}

/** The hook that may refuse or change what users do before it is appended. */
export interface Policy {
  /** A judge for one action, that asks the hook once about each set of events, however often the action is planned. */
  judge(action: { name: string; roomId: string; requester: Requester }): Judge;
}

/**
 * Judges events that the rules have let pass: gives other ones to append in their place, authorised anew, or null for
 * these. Throws `PolicyRefusal`; `OVERLOADED` when the hook fails and nothing may pass without it, and when it would have
 * to be asked but may not be, as under the append lock.
 */
export type Judge = (drafts: EventDraft[], room: RoomAuthority, mayAsk: boolean) => Promise<EventDraft[] | null>;

/** `FORBIDDEN`, though the rules allow it: the policy doesn't. */
export class PolicyRefusal extends HearthError {
  constructor(reason: string) {
    super("FORBIDDEN", reason);
  }
}

/** A reason is shown to people, so it is short. */
const maxReason = 1000;
/** What a hook says besides is no reason to let pass what it refuses. */
export const reason = z
  .string()
  .min(1)
  .transform((text) => text.slice(0, maxReason).toWellFormed().replaceAll("\0", ""))
  .nullish()
  .catch(null);
const verdict = z.discriminatedUnion("decision", [
  z.object({ decision: z.literal("accept") }),
  z.object({ decision: z.literal("refuse"), reason }),
  z.object({ decision: z.literal("change"), contents: z.unknown().optional() }),
]);
type Verdict = z.output<typeof verdict> | { decision: "failed" };

/** Asks the hook that the settings name. */
export function createPolicy({ settings, serverName, fetch, log }: PolicyTools): Policy {
  const { failure, ...reached } = settings;

  async function ask(body: string, name: string): Promise<Verdict> {
    try {
      return await call(fetch, { ...reached, method: "POST", body }, verdict);
    } catch (error) {
      if (!(error instanceof OutgoingError)) throw error;
      log.warn({ action: name, problem: error.message, failure }, "the policy hook failed");
      return { decision: failure === "accept" ? "accept" : "failed" };
    }
  }

  return {
    judge({ name, roomId, requester }) {
      const verdicts = new Map<string, Verdict>();
      return async (drafts, room, mayAsk) => {
        if (drafts.every(({ sender }) => sender === serverName)) return null;
        const body = JSON.stringify({
          phase: "before",
          action: name,
          room_id: roomId,
          sender: requester.userId,
          device_id: requester.deviceId,
          events: drafts.map((draft) => draftJson(draft, roomId)),
        });
        const known = verdicts.get(body);
        if (known === undefined && !mayAsk) {
          throw new HearthError("OVERLOADED", "The room changes too fast; try again with the same action id.");
        }
        const given = known ?? (await ask(body, name));
        verdicts.set(body, given);
        switch (given.decision) {
          case "accept":
            return null;
          case "refuse":
            throw new PolicyRefusal(given.reason ?? "The policy of this server refuses it.");
          case "failed":
            throw new HearthError("OVERLOADED", "The policy of this server can't be asked now; try again.");
          case "change":
            return changed(drafts, given.contents, room, name);
        }
      };
    },
  };

  /** What can't be changed as the hook wants it isn't what the hook lets pass, so it is refused. */
  function changed(drafts: EventDraft[], contents: unknown, room: RoomAuthority, name: string): EventDraft[] {
    try {
      return changedDrafts(drafts, contents, room.asRead(), serverName);
    } catch (error) {
      if (!(error instanceof HearthError)) throw error;
      log.warn({ action: name, problem: error.message }, "a change by the policy hook isn't possible");
      throw new PolicyRefusal("The policy of this server refuses it: it wants a change that isn't possible.");
    }
  }
}

function draftJson(draft: EventDraft, roomId: string): Record<string, unknown> {
  return {
    type: draft.type,
    state_key: draft.stateKey,
    sender: draft.sender,
    room_id: roomId,
    // Only where somebody says when it happened; the server's own clock tells the hook nothing.
    origin_server_ts: draft.sentAt,
    content: draft.content === null ? undefined : (JSON.parse(draft.content) as unknown),
    relates_to: draft.relatesTo?.length ? relationsJson(draft.relatesTo) : undefined,
    updates: draft.updatesId,
    redacts: draft.redactsId,
  };
}
