import { badInput } from "../model/errors.ts";
import type { AnyEvent } from "../model/event.ts";
import { contentOf } from "../model/event.ts";
import { isRoomId, isUserId } from "../model/ids.ts";
import type { PresenceShape } from "../model/presence.ts";
import { builder } from "../schema/builder.ts";
import { Presence } from "../schema/presence.ts";
import { Room, User } from "../schema/refs.ts";
import { roomOf } from "../schema/room.ts";
import { domainOf, loadAnew, signedIn } from "./context.ts";
import { streamValues } from "./streamValues.ts";

interface Notice {
  roomId: string;
  userIds: string[];
}

/** Rooms, or users, that a subscription names. */
const maxNamed = 100;

const TypingNotice = builder.objectRef<Notice>("TypingNotice").implement({
  description: "Who is typing in a room now: all of them, or nobody any more. [TYP-1]",
  fields: (t) => ({
    room: t.field({ type: Room, resolve: (notice, _args, context) => roomOf(notice, context) }),
    users: t.field({
      type: [User],
      resolve: ({ userIds }) => userIds.map((userId) => ({ kind: "USER" as const, userId })),
    }),
  }),
});

builder.subscriptionFields((t) => ({
  typing: t.field({
    type: TypingNotice,
    description:
      "Typing in rooms that the viewer is joined to: in all, or those named. Begins with who is typing already. [TYP-1]",
    args: { roomIds: t.arg.idList() },
    subscribe(_root, { roomIds }, context) {
      checkNamed(roomIds, "roomIds", isRoomId);
      const { stream, typing } = domainOf(context);
      const requester = signedIn(context);
      const joined = (): Set<string> => new Set(stream.roomsOf(requester.userId) ?? []);
      return streamValues<Notice>(domainOf(context), requester, {
        token: { rooms: roomIds ?? null, users: [] },
        filter: { types: ["ephemeral:m.typing"] },
        first: () =>
          typing
            .among(roomIds ? roomIds.filter((roomId) => joined().has(roomId)) : joined())
            .map((roomId) => ({ roomId, userIds: typing.in(roomId) })),
        // Who left in between learns no more of the room.
        valuesOf: (events) => events.map(noticeOf).filter(({ roomId }) => joined().has(roomId)),
      });
    },
    resolve(notice, _args, context) {
      loadAnew(context);
      return notice;
    },
  }),
  presence: t.field({
    type: Presence,
    description:
      "Presence of users whom the viewer shares a room with: of all, or those named. Begins with those who aren't offline. [PRE-4]",
    args: { userIds: t.arg.idList() },
    subscribe(_root, { userIds }, context) {
      checkNamed(userIds, "userIds", isUserId);
      const { presence } = domainOf(context);
      const requester = signedIn(context);
      const seen = async (ids: readonly string[]): Promise<PresenceShape[]> => [
        ...(await presence.seenBy(requester.userId, ids)).values(),
      ];
      return streamValues<PresenceShape>(domainOf(context), requester, {
        token: { rooms: null, users: userIds ?? null },
        filter: { types: ["ephemeral:m.presence"] },
        first: () => presence.around(requester.userId, userIds ?? undefined),
        valuesOf: (events) => seen(events.map(({ sender }) => sender)),
      });
    },
    resolve(presence, _args, context) {
      loadAnew(context);
      return presence;
    },
  }),
}));

function noticeOf(event: AnyEvent): Notice {
  return { roomId: event.roomId ?? "", userIds: contentOf(event)?.["user_ids"] as string[] };
}

function checkNamed(ids: readonly string[] | null | undefined, field: string, isId: (id: string) => boolean): void {
  if (!ids) return;
  if (ids.length > maxNamed) throw badInput(field, `names more than ${maxNamed}`);
  const wrong = ids.findIndex((id) => !isId(id));
  if (wrong !== -1) throw badInput(`${field}.${wrong}`, "is no such id");
}
