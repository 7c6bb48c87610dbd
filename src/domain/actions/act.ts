import { createHash } from "node:crypto";
import { z } from "zod";
import { canonicalJson, maxDepth } from "../../model/canonicalJson.ts";
import { badInput, HearthError, roomNotFound } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import { clientChosenId } from "../../model/ids.ts";
import type { Clock, Ids, Meter, Tracer } from "../../model/ports.ts";
import type { Requester } from "../../model/requester.ts";
import type { Tokens } from "../../model/tokens.ts";
import { findAction, type BatchUnit } from "../../store/append.ts";
import type { Connection, Database } from "../../store/database.ts";
import { eventsById } from "../../store/events.ts";
import { loadAuthority, type Authorities } from "../append/authorities.ts";
import { actionIdUsed, type AppendOutcome, type Writer } from "../append/writer.ts";
import type { RoomAuthority } from "../rules/authority.ts";
import type { Limits } from "../limits/limits.ts";
import type { ServiceQueries } from "../appservice/queries.ts";
import type { Registry } from "../appservice/registry.ts";
import { PolicyRefusal, type Policy } from "../policy/policy.ts";
import { knowsRoom } from "../reading/views.ts";
import type { Planner } from "./plan.ts";
import { bareUnit, isIdle, unitOf } from "./units.ts";

/** What every action works with. */
export interface ActionTools {
  database: Database;
  writer: Writer;
  authorities: Authorities;
  clock: Clock;
  ids: Ids;
  tokens: Tokens;
  serverName: string;
  registry: Registry;
  /** Asks application services for what nobody knows. [AS-3, AS-4] */
  queries: ServiceQueries;
  /** Null without a policy hook. */
  policy: Policy | null;
  meter: Meter;
  tracer: Tracer;
  limits: Limits;
}

/** The last moment that a date can hold, in milliseconds since the epoch. */
export const maxTime = 8.64e15;

/** Keys that the inputs of all actions share. [ACT-2, ACT-15] */
export const commonInput = {
  actionId: clientChosenId.nullish(),
  suppressOnStream: z.boolean().default(false),
  /** The time that the events show, in milliseconds since the epoch: for application services. [AS-7] */
  sentAt: z.int().min(0, "is before 1970").max(maxTime, "is too late").nullish(),
};

export interface Action {
  requester: Requester;
  /** Names the action in the request's hash, so that no other action passes for it. */
  name: string;
  /** The parsed input, `actionId` included. */
  input: { actionId?: string | null | undefined; suppressOnStream?: boolean; sentAt?: number | null | undefined };
  roomId: string;
  /** The requester is making the room: a refusal has nothing to hide from them. */
  makesRoom?: boolean;
  /** How many actions it stands for, if not one: that of the request was counted when it came. */
  count?: number;
  /** Plan it where nobody else can append: it depends on more than the room's version tells. */
  locked?: boolean;
  /** Everyone whose membership decides, besides the requester. */
  userIds?: readonly string[];
  /** What to append to the room as it stands; throws what refuses it. May run again when the room has changed. */
  plan: Planner;
}

/** After so many stale tries a unit is authorised under the lock. */
const staleTries = 3;

/**
 * Runs an action: plans and authorises it against the room as it is known, appends it, and begins anew when the room has
 * changed meanwhile. An action id that was used before gives its first outcome, or `CONFLICT` for another request. [ACT-2]
 * Gives the events that answer the action, in order.
 */
export async function act(tools: ActionTools, action: Action): Promise<StoredEvent[]> {
  try {
    const events = await tools.tracer.span(action.name, {}, () => perform(tools, action));
    tools.meter.action(action.name, "OK");
    return events;
  } catch (error) {
    tools.meter.action(action.name, error instanceof HearthError ? error.code : "INTERNAL");
    throw error;
  }
}

async function perform(tools: ActionTools, action: Action): Promise<StoredEvent[]> {
  const { requester, input } = action;
  const { actionId = null } = input;
  if (typeof input.sentAt === "number" && requester.service === undefined) {
    throw badInput("sentAt", "is for application services");
  }
  tools.limits.changes(requester, (action.count ?? 1) - 1);
  const requestHash = requestHashOf(action.name, input);
  const key = actionId === null ? null : { userId: requester.userId, deviceId: requester.deviceId, actionId };

  async function firstOutcome(): Promise<StoredEvent[] | null> {
    const done = key && (await findAction(tools.database.reader, key));
    return done && answer(tools, { outcome: "repeated", ...done }, requestHash);
  }

  if (tools.policy !== null) {
    // The policy isn't asked about what was settled before.
    const settled = await firstOutcome().catch(whenStoreIsAway);
    if (settled !== null) return settled;
  }
  const judge = tools.policy?.judge(action) ?? null;

  const prepare = async (room: RoomAuthority | null, connection: Connection): Promise<BatchUnit> => {
    const plan = await action.plan(room, connection);
    const recorded = key && { ...key, requestHash };
    if ("unchanged" in plan) return bareUnit(action.roomId, room, recorded, plan.unchanged);
    if ("mark" in plan) {
      const { suppressOnStream = false } = input;
      const marker = { ...plan.mark, device: requester.deviceId, actionId, suppressed: suppressOnStream };
      return { ...bareUnit(action.roomId, room, recorded, [plan.mark.markedId]), markers: [marker] };
    }
    const unit = unitOf(tools, action, plan, recorded);
    const changed = judge && (await judge(plan.append, plan.room, connection === tools.database.reader));
    return changed ? unitOf(tools, action, { ...plan, append: changed }, recorded) : unit;
  };

  let fresh = false;
  try {
    for (let tried = 0; tried < staleTries && !action.locked; tried++) {
      const users = [requester.userId, ...(action.userIds ?? [])];
      const room = await tools.authorities.load(action.roomId, users);
      const unit = await prepare(room, tools.database.reader).catch((error: unknown) => {
        if (fresh || !(error instanceof HearthError)) throw error;
        return null;
      });
      // What is remembered of the room may be older than what another process did. An append is compared with the
      // room's version; a refusal, or that there is nothing to do, is said only after looking at the store.
      if (!fresh && (unit === null || isIdle(unit))) {
        fresh = true;
        tools.authorities.forget(action.roomId);
        continue;
      }
      if (unit === null) continue;
      if (isIdle(unit) && key === null) return await eventsInOrder(tools, unit.answerIds);
      const append = (): Promise<AppendOutcome> => tools.writer.append(unit, requester.requestId);
      const outcome = await tools.tracer.span("append", { events: unit.events.length }, append);
      if (outcome.outcome !== "stale") return await answer(tools, outcome, requestHash, unit.answerIds);
      tools.authorities.forget(action.roomId);
      if (unit.registry !== undefined) await tools.registry.refresh();
    }
    let answerIds: string[] = [];
    const outcome = await tools.writer.appendLocked(async (connection) => {
      const room = await loadAuthority(connection, action.roomId, [requester.userId, ...(action.userIds ?? [])]);
      const unit = await prepare(room, connection);
      answerIds = unit.answerIds;
      return unit;
    }, requester.requestId);
    return await answer(tools, outcome ?? { outcome: "stale" }, requestHash, answerIds);
  } catch (error) {
    if (!(error instanceof HearthError)) throw error;
    // Done before, the action may be impossible now, such as leaving a room that was left.
    const done = error.code === "CONFLICT" ? null : await firstOutcome().catch(whenStoreIsAway);
    if (done !== null) return done;
    throw await concealed(tools, action, error);
  }
}

/** By which a repeated action is told from another one under the same action id. [ACT-2] */
export function requestHashOf(name: string, { actionId: _apart, ...request }: Action["input"]): string {
  return createHash("sha256")
    .update(`${name} ${canonicalJson(request, "", 2 * maxDepth)}`)
    .digest("base64url");
}

/** Throws what would refuse the action if it were done now; nothing is stored. [ACT-13] */
export async function rehearse(tools: ActionTools, action: Action): Promise<void> {
  const { reader } = tools.database;
  try {
    const users = [action.requester.userId, ...(action.userIds ?? [])];
    await action.plan(await loadAuthority(reader, action.roomId, users), reader);
  } catch (error) {
    throw error instanceof HearthError ? await concealed(tools, action, error) : error;
  }
}

/** Whether an action was done before can't be told without the store: then the first error is the one to tell. */
function whenStoreIsAway(error: unknown): null {
  if (error instanceof HearthError) throw error;
  return null;
}

/** A refusal tells nothing about a room that the requester may not see. [EV-9] */
async function concealed(tools: ActionTools, action: Action, error: HearthError): Promise<HearthError> {
  // Who is refused by the policy was let by the rules, and so knows the room.
  const told = action.makesRoom === true || error instanceof PolicyRefusal;
  if (error.code !== "FORBIDDEN" || told) return error;
  const knows = await knowsRoom(tools.database.reader, action.requester.userId, action.roomId);
  return knows ? error : roomNotFound();
}

async function answer(
  tools: ActionTools,
  outcome: AppendOutcome,
  requestHash: string,
  answerIds: string[] = [],
): Promise<StoredEvent[]> {
  switch (outcome.outcome) {
    case "appended":
      return outcome.events.length > 0 ? outcome.events : eventsInOrder(tools, answerIds);
    case "repeated":
      if (outcome.requestHash !== requestHash) {
        throw actionIdUsed();
      }
      return eventsInOrder(tools, outcome.eventIds);
    case "stale":
      throw new HearthError("OVERLOADED", "The room changes too fast; try again with the same action id.");
  }
}

/** Throws `NOT_FOUND` where the events are gone with their room. */
async function eventsInOrder(tools: ActionTools, eventIds: readonly string[]): Promise<StoredEvent[]> {
  const events = await eventsById(tools.database.reader, eventIds);
  if (events.length === 0 && eventIds.length > 0) throw roomNotFound();
  const byId = new Map(events.map((event) => [event.eventId, event]));
  return eventIds.flatMap((eventId) => byId.get(eventId) ?? []);
}
