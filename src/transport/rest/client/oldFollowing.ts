import { z } from "zod";
import type { Domain } from "../../../domain/domain.ts";
import { syncToken, initialSync } from "../../../domain/sync/initialSync.ts";
import { contentOf, type EphemeralEvent } from "../../../model/event.ts";
import type { Requester } from "../../../model/requester.ts";
import { clientPaths, type RestContext, type Routes } from "../routes.ts";
import { group } from "./common.ts";
import { wishOf } from "./olderFilter.ts";
import { olderEvents, syncedRooms } from "./syncAnswer.ts";
import { batchOf, holdSession, Patience, readBatch, takeAll, type Heard } from "./waiting.ts";

type Json = Record<string, unknown>;

const anyEvent = z.looseObject({});
const chunk = z.object({ chunk: z.array(anyEvent), start: z.string(), end: z.string() });
const eventsQuery = z.object({
  from: z.string().optional().meta({ description: "`end` of the answer before; none: from now on." }),
  timeout: z.coerce.number().int().min(0).default(0).meta({ description: "Milliseconds to wait for events." }),
});
const initialAnswer = z.object({
  end: z.string(),
  presence: z.array(anyEvent),
  rooms: z.array(
    z.object({
      ...{ room_id: z.string(), membership: z.string(), state: z.array(anyEvent).optional() },
      ...{ messages: chunk.optional(), invite: anyEvent.optional() },
    }),
  ),
});

/** Following as it was before `/sync`. [AS-13] */
export function oldFollowingRoutes(domain: Domain): (routes: Routes) => void {
  const { reading, stream, tokens } = domain;

  async function initial(requester: Requester, limit: number): Promise<z.input<typeof initialAnswer>> {
    const wish = wishOf(domain, { room: { timeline: { limit } } });
    const given = { stateFilter: wish.state, limit: wish.limit, tweak: wish.timeline };
    const begun = await initialSync(reading, requester, given);
    const { join, invite } = await syncedRooms(domain, begun, { whole: true, receipts: () => false });
    const end = batchOf(syncToken(reading, begun), 0);
    const joined = [...join].map(([room_id, { state, timeline }]) => ({
      ...{ room_id, membership: "join" },
      // What the timeline tells is state, too.
      state: [...state.events, ...timeline.events.filter((event) => "state_key" in event)],
      messages: { chunk: timeline.events, start: timeline.prev_batch ?? end, end },
    }));
    const invited = [...invite].map(
      ([
        room_id,
        {
          invite_state: { events },
        },
      ]) => ({
        ...{ room_id, membership: "invite", invite: events.at(-1) ?? {} },
      }),
    );
    return { end, presence: [], rooms: [...joined, ...invited] };
  }

  async function events(requester: Requester, query: z.output<typeof eventsQuery>, context: RestContext) {
    const { userId, deviceId, tokenId } = requester;
    const from = query.from === undefined ? null : readBatch(query.from).stream;
    const token =
      from === null
        ? { userId, deviceId, rooms: null, users: null, position: null }
        : tokens.readStream(from, requester);
    const follower = await stream.open(token, tokenId);
    const base = tokens.streamBase(follower.base);
    const at = (position: number): string => batchOf(tokens.streamAt(base, position), 0);
    const begun = token.position ?? reading.head.position;
    const release = holdSession(domain, requester, null);
    const patience = new Patience(context, query.timeout);
    const heard: Heard = { events: [], ephemeral: new Map(), position: null };
    try {
      for (;;) {
        takeAll(follower, heard);
        const wanted = heard.events.filter((event) => follower.wish.wants(event));
        const told: Json[] = [...(await olderEvents(domain, wanted)), ...[...heard.ephemeral.values()].map(ephemeral)];
        if (told.length > 0 || patience.isOver || follower.ended) {
          return { chunk: told, start: at(begun), end: at(heard.position ?? begun) };
        }
        await patience.until(follower);
      }
    } finally {
      stream.close(follower);
      patience.end();
      release();
    }
  }

  return (routes) => {
    routes.call({
      ...{ method: "GET", paths: clientPaths("/initialSync"), group: group.sync, access: "user" },
      ...{ summary: "Everything that a client needs to begin, in the oldest form.", answer: initialAnswer },
      query: z.object({ limit: z.coerce.number().int().min(0).default(10) }),
      handle: ({ requester, query }) => initial(requester, query.limit),
    });
    routes.call({
      ...{ method: "GET", paths: clientPaths("/events"), group: group.sync, access: "user" },
      ...{ summary: "Events as they come, in the oldest form.", query: eventsQuery, answer: chunk },
      handle: ({ requester, query, context }) => events(requester, query, context),
    });
  };
}

function ephemeral(event: EphemeralEvent): Json {
  const { type, roomId, sender } = event;
  return { type, ...(roomId === null ? { sender } : { room_id: roomId }), content: contentOf(event) ?? {} };
}
