import { eventNotFound, HearthError, roomNotFound } from "../model/errors.ts";
import { inviteIdOf } from "../model/call.ts";
import { isEventId, isRoomId, isUserId } from "../model/ids.ts";
import { markerKinds } from "../model/marker.ts";
import { badInput } from "../model/errors.ts";
import { builder } from "../schema/builder.ts";
import type { Context } from "../schema/context.ts";
import { Node } from "../schema/node.ts";
import { Event, Room, User } from "../schema/refs.ts";
import { Server } from "../schema/server.ts";
import { Viewer } from "../schema/viewer.ts";
import { domainOf, signedIn } from "./context.ts";

/** Ids that `nodes` takes at once. */
const maxNodes = 100;

builder.queryType({
  fields: (t) => ({
    node: t.field({
      type: Node,
      nullable: true,
      args: { id: t.arg.id({ required: true }) },
      resolve: (_root, { id }, context) => nodeOf(id, context),
    }),
    nodes: t.field({
      type: [Node],
      nullable: { list: false, items: true },
      args: { ids: t.arg.idList({ required: true }) },
      complexity: ({ ids }) => ({ field: 1, multiplier: Math.max(1, ids.length) }),
      resolve(_root, { ids }, context) {
        if (ids.length > maxNodes) throw badInput("ids", `names more than ${maxNodes} nodes`);
        return ids.map((id) => nodeOf(id, context));
      },
    }),
    server: t.field({ type: Server, resolve: (_root, _args, context) => context.server }),
    viewer: t.field({
      type: Viewer,
      nullable: true,
      description: "The signed-in user and device; null without a valid access token.",
      resolve: (_root, _args, context) => context.requester,
    }),
    room: t.field({
      type: Room,
      nullable: true,
      args: { id: t.arg.id({ required: true }) },
      async resolve(_root, { id }, context) {
        signedIn(context);
        const room = isRoomId(id) ? await context.load.room(id) : null;
        if (room === null) throw roomNotFound();
        return room;
      },
    }),
    event: t.field({
      type: Event,
      nullable: true,
      args: { id: t.arg.id({ required: true }) },
      async resolve(_root, { id }, context) {
        signedIn(context);
        const event = isEventId(id) ? await context.load.event(id) : null;
        if (event === null) throw eventNotFound();
        return event;
      },
    }),
    user: t.field({
      type: User,
      nullable: true,
      args: { id: t.arg.id({ required: true }) },
      async resolve(_root, { id }, context) {
        signedIn(context);
        const user = isUserId(id) ? await context.load.user(id) : null;
        if (user === null) throw new HearthError("NOT_FOUND", "There is no such user.");
        return user;
      },
    }),
    streamToken: t.field({
      type: "StreamToken",
      nullable: true,
      description: 'A fresh, unused streaming token. Omitted lists, or ["*"], mean all; an empty list none. [STR]',
      args: { rooms: t.arg.stringList(), users: t.arg.stringList() },
      resolve(_root, { rooms, users }, context) {
        const { userId, deviceId } = signedIn(context);
        return domainOf(context).tokens.stream({
          userId,
          deviceId,
          rooms: choice(rooms, isRoomId, "rooms", "room"),
          users: choice(users, isUserId, "users", "user"),
          position: null,
        });
      },
    }),
  }),
});

/** A choice of ids; null means all. */
function choice(
  ids: readonly string[] | null | undefined,
  isId: (id: string) => boolean,
  argument: string,
  noun: string,
): string[] | null {
  if (!ids || ids.includes("*")) return null;
  const odd = ids.find((id) => !isId(id));
  if (odd !== undefined) throw badInput(argument, `${JSON.stringify(odd.slice(0, 100))} is no ${noun} id`);
  return [...new Set(ids)].sort();
}

/** What a node id stands for, as far as the viewer may see it; null for everything else. */
async function nodeOf(id: string, context: Context): Promise<object | null> {
  signedIn(context);
  const { load, requester } = context;
  if (isUserId(id)) return load.user(id);
  if (isRoomId(id)) return load.room(id);
  if (isEventId(id)) return load.event(id);
  if (inviteIdOf(id) !== null) return load.call(id);
  // The payload may hold the character, too.
  const [kind, ...payload] = id.split("_");
  const named = opaqueId(payload.join("_"));
  if (kind === "member" && isTexts(named)) {
    const [roomId, userId] = named;
    const room = isRoomId(roomId ?? "") ? await load.room(roomId!) : null;
    return room && load.member(room, userId ?? "");
  }
  if (kind === "marker" && isTexts(named)) {
    const [roomId, userId, markerKind, reach] = named;
    const room = isRoomId(roomId ?? "") ? await load.room(roomId!) : null;
    const known = markerKinds.find((each) => each === markerKind);
    const marker = room && known ? await load.marker(room, userId ?? "", known) : null;
    return marker?.private === (reach === "private") ? marker : null;
  }
  if (kind === "invite" && typeof named === "string" && isEventId(named)) {
    const event = await load.event(named);
    const own = event?.type === "m.room.member" && event.stateKey === requester?.userId;
    return own && (await load.membership(event.roomId)) === "invite" ? { event } : null;
  }
  if (kind === "device" && isTexts(named)) {
    const [userId = "", deviceId = ""] = named;
    const plain = isUserId(userId) && !named.some((part) => part.includes("\0"));
    return plain ? domainOf(context).devices.find(signedIn(context), { userId, deviceId }) : null;
  }
  return null;
}

function isTexts(named: unknown): named is string[] {
  return Array.isArray(named) && named.every((part) => typeof part === "string");
}

function opaqueId(payload: string): unknown {
  try {
    return JSON.parse(Buffer.from(payload, "base64url").toString());
  } catch {
    return null;
  }
}
