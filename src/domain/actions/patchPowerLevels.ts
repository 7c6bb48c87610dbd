import { z } from "zod";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check } from "../../model/check.ts";
import { badInput } from "../../model/errors.ts";
import { contentOf, emptyStateKey, plainType, type EventDraft, type StoredEvent } from "../../model/event.ts";
import { isUserId, roomId } from "../../model/ids.ts";
import { powerLevel } from "../../model/power.ts";
import type { Requester } from "../../model/requester.ts";
import type { Connection } from "../../store/database.ts";
import { stateInSlots } from "../../store/state.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { authoriseAll, present } from "./plan.ts";

const patchInput = z.strictObject({
  ...commonInput,
  roomId,
  path: z.array(z.string()),
  value: powerLevel.nullish(),
});

type Json = Record<string, unknown>;

const levels = new Set(["users_default", "events_default", "state_default", "invite", "kick", "ban", "redact"]);

/**
 * Changes one key of the power levels, such as `["kick"]` or `["users", "@bob:example.org"]`; null removes it. The event
 * that is stored holds all of them. A key that has the value already makes no second event. [ACT-10]
 */
export async function patchPowerLevels(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(patchInput, given);
  const path = levelPath(input.path);
  const [event] = await act(tools, {
    requester,
    name: "patchPowerLevels",
    input,
    roomId: input.roomId,
    async plan(known, connection) {
      const room = present(known);
      const held = await powerLevelsEvent(connection, input.roomId);
      const before = held === null ? { users: { [room.creator]: 100 } } : (contentOf(held) ?? {});
      const draft: EventDraft = {
        type: "m.room.power_levels",
        stateKey: emptyStateKey,
        sender: requester.userId,
        content: canonicalJson(patched(before, path, input.value ?? null), "value"),
      };
      const append = authoriseAll([draft], room, tools.serverName);
      if (held !== null && held.content === draft.content) return { unchanged: [held.eventId] };
      return { append, room };
    },
  });
  return event!;
}

/** The path, if it leads to a level; types may carry their kind's prefix. Throws `BAD_INPUT`. */
function levelPath(path: readonly string[]): string[] {
  const [key, name, ...rest] = path;
  if (path.length === 1 && levels.has(key!)) return [key!];
  if (rest.length === 0 && name !== undefined) {
    if (key === "users" && isUserId(name)) return [key, name];
    if (key === "events") return [key, plainType(name, name.startsWith("state:") ? "STATE" : "MESSAGE", "path")];
  }
  throw badInput(
    "path",
    'leads to no level: give e.g. ["kick"], ["users", "@name:server"] or ["events", "m.room.name"]',
  );
}

function patched(content: Json, [key, name]: readonly string[], value: number | null): Json {
  if (name === undefined) return withKey(content, key!, value);
  const inner = content[key!];
  const levels = typeof inner === "object" && inner !== null ? (inner as Json) : {};
  return withKey(content, key!, withKey(levels, name, value));
}

function withKey(object: Json, key: string, value: unknown): Json {
  const others = Object.entries(object).filter(([each]) => each !== key);
  return Object.fromEntries(value === null ? others : [...others, [key, value]]);
}

async function powerLevelsEvent(connection: Connection, roomId: string): Promise<StoredEvent | null> {
  const slot = { roomId, type: "m.room.power_levels", stateKey: emptyStateKey, at: Number.MAX_SAFE_INTEGER };
  return (await stateInSlots(connection, [slot]))[0] ?? null;
}
