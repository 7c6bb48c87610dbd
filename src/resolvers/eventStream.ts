import type { StreamChunk as StreamChunkShape } from "../domain/sync/chunk.ts";
import type { StreamToken } from "../model/tokens.ts";
import { readFilter } from "../domain/filters.ts";
import type { AnyEvent } from "../model/event.ts";
import { PresenceState } from "../schema/enums.ts";
import { builder } from "../schema/builder.ts";
import type { Context } from "../schema/context.ts";
import { shapedJson } from "../schema/eventJson.ts";
import { LeftRoom } from "../schema/leftRoom.ts";
import { Event, Invite, Room } from "../schema/refs.ts";
import { ChunkSource } from "./chunkSource.ts";
import { domainOf, loadAnew, signedIn } from "./context.ts";
import { FilterInput } from "./filters.ts";

const StreamChunk = builder.objectRef<StreamChunkShape>("StreamChunk").implement({
  fields: (t) => ({
    events: t.field({ type: [Event], resolve: ({ events }, _args, context) => readable(events, context) }),
    json: t.field({
      type: ["JSONObject"],
      description: "The events in the format, with the fields and bundles, that the filter asked for.",
      async resolve({ events, filter }, _args, context) {
        const shown = await readable(events, context);
        return Promise.all(shown.map(async (event) => shapedJson(event, filter, context)));
      },
    }),
    stream: t.expose("stream", { type: "StreamToken", description: "The new position." }),
    limited: t.exposeBoolean("limited"),
    rooms: t.field({
      type: [Room],
      description: "Rooms with news, as they are now.",
      async resolve({ roomIds }, _args, context) {
        const rooms = await Promise.all(roomIds.map((roomId) => context.load.room(roomId)));
        return rooms.filter((room) => room !== null);
      },
    }),
    invites: t.field({
      type: [Invite],
      description: "New invites that still hold.",
      async resolve({ invites }, _args, context) {
        // An invite shows the room of today: not to whom it was taken back from before this chunk was replayed.
        const memberships = await Promise.all(invites.map((event) => context.load.membership(event.roomId)));
        return invites.filter((_, index) => memberships[index] === "invite").map((event) => ({ event }));
      },
    }),
    left: t.field({
      type: [LeftRoom],
      resolve: ({ left }) => left.map((event) => ({ roomId: event.roomId, event })),
    }),
  }),
});

builder.subscriptionType({
  fields: (t) => ({
    eventStream: t.field({
      type: StreamChunk,
      description:
        "Live events, beginning with a chunk that tells that the stream is live. It is no catch-up service: when more happened since `stream` than the server replays, one chunk with `limited: true` says so. [EVS]",
      args: {
        stream: t.arg({ type: "StreamToken", description: "Omitted: all rooms and users, from now on." }),
        filter: t.arg({ type: "FilterToken" }),
        outOfOrder: t.arg.boolean({
          required: true,
          defaultValue: false,
          description: "Also receive events that belong into the past of a room.",
        }),
        presence: t.arg({
          type: PresenceState,
          description:
            "Presence of this device from now on, until it says otherwise or its session ends, which an open subscription prevents; omitted: unchanged, else ONLINE. [PRE-3]",
        }),
        tweak: t.arg({ type: FilterInput }),
      },
      async subscribe(_root, { stream, filter, outOfOrder, presence, tweak }, context) {
        const requester = signedIn(context);
        const domain = domainOf(context);
        const token: StreamToken =
          typeof stream === "string"
            ? domain.tokens.readStream(stream, requester)
            : { ...requester, rooms: null, users: null, position: null };
        const options = { filter: readFilter(domain.tokens, filter, tweak), outOfOrder };
        const release = domain.sessions.hold(requester, presence ?? null);
        try {
          return new ChunkSource(domain, await domain.stream.open(token, requester.tokenId, options), release);
        } catch (error) {
          release();
          throw error;
        }
      },
      resolve(chunk, _args, context) {
        // A stream outlives what was loaded for its earlier chunks.
        loadAnew(context);
        return chunk;
      },
    }),
  }),
});

/** Insertions may stand in a past that the viewer doesn't see, though they are in the room now. [EVS-6, EV-9] */
function readable(events: AnyEvent[], context: Context): AnyEvent[] | Promise<AnyEvent[]> {
  const inserted = (event: AnyEvent): boolean => event.kind !== "EPHEMERAL" && event.insertedAfterId !== null;
  if (!events.some(inserted)) return events;
  const shown = events.map(async (event) => !inserted(event) || (await context.load.event(event.eventId)) !== null);
  return Promise.all(shown).then((each) => events.filter((_event, index) => each[index]));
}
