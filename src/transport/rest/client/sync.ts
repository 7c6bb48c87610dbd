import { z } from "zod";
import type { Domain } from "../../../domain/domain.ts";
import { joinedRoomIds } from "../../../domain/reading/own.ts";
import { readSince } from "../../../domain/sync/difference.ts";
import { initialSync, syncToken, type InitialSync } from "../../../domain/sync/initialSync.ts";
import { Polls } from "../../../domain/sync/polls.ts";
import { contentOf, type EphemeralEvent } from "../../../model/event.ts";
import type { PresenceShape } from "../../../model/presence.ts";
import type { Requester } from "../../../model/requester.ts";
import { clientPaths, type RestContext, type Routes } from "../routes.ts";
import { group } from "./common.ts";
import { readOlderFilter, wishOf, type SyncWish } from "./olderFilter.ts";
import { presenceJson, presenceStates } from "./presence.ts";
import { syncedRooms, type JoinedRoom, type SyncedRooms } from "./syncAnswer.ts";
import { batchOf, holdSession, Patience, readBatch, takeAll, type Heard } from "./waiting.ts";

type Json = Record<string, unknown>;

const syncQuery = z.object({
  since: z.string().optional().meta({ description: "`next_batch` of the answer before." }),
  timeout: z.coerce.number().int().min(0).default(0).meta({ description: "Milliseconds to wait for news." }),
  filter: z.string().optional().meta({ description: "A filter's id, or its JSON." }),
  full_state: z.enum(["true", "false"]).default("false"),
  set_presence: z.enum(["online", "unavailable", "offline"]).optional(),
});
const events = z.object({ events: z.array(z.looseObject({})) });
const syncAnswer = z.object({
  next_batch: z.string(),
  rooms: z.object({
    join: z.record(
      z.string(),
      z.object({
        state: events,
        timeline: events.extend({ limited: z.boolean(), prev_batch: z.string().optional() }),
        ephemeral: events,
        account_data: events,
        unread_notifications: z.object({ notification_count: z.number(), highlight_count: z.number() }).optional(),
      }),
    ),
    invite: z.record(z.string(), z.object({ invite_state: events })),
    leave: z.record(z.string(), z.object({ timeline: events.extend({ limited: z.boolean() }), state: events })),
  }),
  presence: events,
  account_data: events,
});
type SyncQuery = z.output<typeof syncQuery>;
type SyncAnswer = z.input<typeof syncAnswer>;

/** Following by asking again and again, on top of the initial sync and the event stream. [SYN, EVS] */
export function syncRoutes(domain: Domain): (routes: Routes) => void {
  const { reading, stream, tokens, accountData, typing, presence } = domain;
  const polls = new Polls(stream);

  /** The stream by which a client hears what comes after its token; `kept`: it has been open since that was given. */
  async function follow(requester: Requester, since: string | undefined, from: string | null) {
    const kept = since === undefined ? null : polls.take(since);
    if (kept !== null) return { follower: kept, kept: true };
    const token = from === null ? null : tokens.readStream(from, requester);
    const { userId, deviceId } = requester;
    const all = token ?? { userId, deviceId, rooms: null, users: null, position: null };
    return { follower: await stream.open(all, requester.tokenId), kept: false };
  }

  async function sync(requester: Requester, query: SyncQuery, context: RestContext): Promise<SyncAnswer> {
    const wish = wishOf(domain, readOlderFilter(domain, requester.userId, query.filter));
    const { since } = query;
    const from = since === undefined ? null : readBatch(since);
    const { position } = await readSince(reading, requester, from?.stream);
    const { follower, kept } = await follow(requester, since, from?.stream ?? null);
    const said = query.set_presence === undefined ? null : presenceStates[query.set_presence];
    const release = holdSession(domain, requester, said);
    // Nobody waits for the first answer.
    const patience = new Patience(context, position === null ? 0 : query.timeout);
    const heard: Heard = { events: [], ephemeral: new Map(), position: null };
    try {
      for (;;) {
        takeAll(follower, heard);
        // They are read from the store; here they only tell that there is something to read.
        heard.events = [];
        const version = position === null ? 0 : (from?.version ?? 0);
        const { answer, isNews } = await read(requester, { query, wish, version, from: from?.stream ?? null, heard });
        // Where it was the token's end, that is what there is to tell.
        if (follower.ended) takeAll(follower, heard);
        if (isNews || patience.isOver || follower.ended) {
          if (!kept) await addPresent(requester, wish, answer, position === null);
          if (context.env.outgoing.destroyed) stream.close(follower);
          else polls.keep(answer.next_batch, follower);
          return answer;
        }
        await patience.until(follower, (wake) => accountData.onChanged(requester.userId, wake));
      }
    } catch (error) {
      stream.close(follower);
      throw error;
    } finally {
      patience.end();
      release();
    }
  }

  /** What there is to tell by now; `isNews` is false where the client could as well go on waiting. */
  async function read(
    requester: Requester,
    asked: { query: SyncQuery; wish: SyncWish; version: number; from: string | null; heard: Heard },
  ): Promise<{ answer: SyncAnswer; isNews: boolean }> {
    const { query, wish, heard } = asked;
    const begun = await initialSync(reading, requester, {
      ...{ stream: asked.from, stateFilter: wish.state, limit: wish.limit, tweak: wish.timeline },
    });
    const rooms = await syncedRooms(domain, begun, {
      whole: query.full_state === "true",
      receipts: (roomId) => wish.ephemeral("m.receipt", roomId),
    });
    const data = await accountData.since(requester.userId, asked.version);
    const own = data.changed.filter(({ roomId, type }) => roomId === null && wish.accountData(type));
    const ofRooms = data.changed.filter(({ roomId, type }) => roomId !== null && wish.roomAccountData(type, roomId));
    const joined = new Set(ofRooms.length === 0 ? [] : await joinedRoomIds(reading, requester));
    for (const { roomId, type, content } of ofRooms) {
      if (joined.has(roomId!)) entryOf(rooms, roomId!).account_data.events.push({ type, content });
    }
    const present: Json[] = [];
    for (const event of heard.ephemeral.values()) {
      const { roomId, type, sender } = event;
      const content = contentOf(event) ?? {};
      if (type === "m.typing" && roomId !== null && wish.ephemeral(type, roomId)) {
        entryOf(rooms, roomId).ephemeral.events.push({ type, content });
      } else if (type === "m.presence" && wish.presence(sender)) present.push(presenceEvent(shapeOf(event, content)));
    }
    const { join, invite, leave } = rooms;
    return {
      answer: {
        next_batch: batchOf(tokenOf(begun), data.version),
        rooms: { join: objectOf(join), invite: objectOf(invite), leave: objectOf(leave) },
        presence: { events: present },
        account_data: { events: own.map(({ type, content }) => ({ type, content })) },
      },
      isNews: join.size + invite.size + leave.size + present.length + own.length > 0,
    };
  }

  /** Adds who types and who is there at this moment, for who may have missed how that came. */
  async function addPresent(requester: Requester, wish: SyncWish, answer: SyncAnswer, first: boolean): Promise<void> {
    const { join } = answer.rooms;
    for (const roomId of typing.among(await joinedRoomIds(reading, requester))) {
      if (!wish.ephemeral("m.typing", roomId) || (first && join[roomId] === undefined)) continue;
      const entry = (join[roomId] ??= emptyRoom());
      const others = entry.ephemeral.events.filter(({ type }) => type !== "m.typing");
      entry.ephemeral.events = [...others, { type: "m.typing", content: { user_ids: typing.in(roomId) } }];
    }
    const around = (await presence.around(requester.userId)).filter(({ userId }) => wish.presence(userId));
    const told = new Set(around.map(({ userId }) => userId));
    const others = answer.presence.events.filter(({ sender }) => !told.has(String(sender)));
    answer.presence.events = [...others, ...around.map(presenceEvent)];
  }

  function presenceEvent(shape: PresenceShape): Json {
    return { type: "m.presence", sender: shape.userId, content: presenceJson(shape, domain.tools.clock.now()) };
  }

  function tokenOf(begun: InitialSync): string {
    return syncToken(reading, begun);
  }

  return (routes) => {
    routes.call({
      ...{ method: "GET", paths: clientPaths("/sync"), group: group.sync, access: "user", uncounted: true },
      summary: "Everything that a client needs to begin, or what has happened since, as soon as something has.",
      ...{ query: syncQuery, answer: syncAnswer },
      handle: ({ requester, query, context }) => sync(requester, query, context),
    });
  };
}

/** The room in an answer; one that nothing happened in is added. */
function entryOf({ join }: SyncedRooms, roomId: string): JoinedRoom {
  const entry = join.get(roomId) ?? emptyRoom();
  join.set(roomId, entry);
  return entry;
}

function emptyRoom(): JoinedRoom {
  return {
    state: { events: [] },
    timeline: { events: [], limited: false },
    ephemeral: { events: [] },
    account_data: { events: [] },
  };
}

function objectOf<Value>(entries: ReadonlyMap<string, Value>): Record<string, Value> {
  return Object.fromEntries(entries);
}

function shapeOf({ sender }: EphemeralEvent, content: Json): PresenceShape {
  const status = typeof content["status"] === "string" ? content["status"] : null;
  const state = content["state"] as PresenceShape["state"];
  return { userId: sender, state, status, lastActiveAt: null, capabilityHashes: [] };
}
