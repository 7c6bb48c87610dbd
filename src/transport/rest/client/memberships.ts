import { z } from "zod";
import { banUser } from "../../../domain/actions/banUser.ts";
import { createRoom } from "../../../domain/actions/createRoom.ts";
import { inviteUser } from "../../../domain/actions/inviteUser.ts";
import { joinRoom } from "../../../domain/actions/joinRoom.ts";
import { kickUser } from "../../../domain/actions/kickUser.ts";
import { knockRoom } from "../../../domain/actions/knockRoom.ts";
import { leaveRoom } from "../../../domain/actions/leaveRoom.ts";
import { unbanUser } from "../../../domain/actions/unbanUser.ts";
import type { Domain } from "../../../domain/domain.ts";
import { accessToRooms } from "../../../domain/reading/views.ts";
import { jsonObject } from "../../../model/check.ts";
import { HearthError } from "../../../model/errors.ts";
import { newerKey } from "../../../model/olderKeys.ts";
import type { Requester } from "../../../model/requester.ts";
import { RestError } from "../errors.ts";
import { clientPaths, type AddRoutes } from "../routes.ts";
import { renaming } from "../sending.ts";
import { nothing } from "./common.ts";
import { appendingQuery, forbidding, roomGroup, sentAtOf } from "./roomCalls.ts";

const presets = ["private_chat", "trusted_private_chat", "public_chat"] as const;
const initialState = z.object({ type: z.string(), state_key: z.string().nullish(), content: jsonObject });
type InitialState = z.output<typeof initialState>;
const createBody = z.object({
  preset: z.enum(presets).nullish(),
  visibility: z.enum(["public", "private"]).nullish().describe("`public`: anybody finds the room."),
  name: z.string().nullish(),
  topic: z.string().nullish(),
  room_alias_name: z.string().nullish().describe("What is between # and : of the room's first alias."),
  invite: z.array(z.string()).nullish(),
  is_direct: z.boolean().nullish(),
  creation_content: jsonObject.nullish(),
  initial_state: z.array(initialState).nullish(),
  power_level_content_override: jsonObject.nullish(),
});
const reasonKey = { reason: z.string().nullish() };
const ownBody = z.object(reasonKey);
const othersBody = z.object({ user_id: z.string(), ...reasonKey });
const query = z.object(appendingQuery);
const roomIdAnswer = z.object({ room_id: z.string() });

/** Making, entering and leaving rooms. [AS-13] */
export function membershipRoutes(domain: Domain): AddRoutes {
  const { tools, server } = domain;
  const common = { method: "POST", group: roomGroup.membership, access: "user", query } as const;

  /** The domain's input for what a room is to be; a preset says what isn't said. */
  function roomOf(requester: Requester, body: z.output<typeof createBody>): Record<string, unknown> {
    const published = body.visibility === "public";
    const preset = body.preset ?? (published ? "public_chat" : "private_chat");
    const invite = body.invite ?? [];
    const trusted = [requester.userId, ...invite].map((userId) => [userId, 100]);
    // Levels that are among the state are those that the room begins with.
    const isLevels = ({ type, state_key: key }: InitialState): boolean => type === "m.room.power_levels" && !key;
    const state = body.initial_state ?? [];
    return {
      ...{ published, invite, name: body.name, topic: body.topic, creation: body.creation_content },
      joinRule: preset === "public_chat" ? "public" : "invite",
      alias: body.room_alias_name ? `#${body.room_alias_name}:${server.name}` : null,
      state: state
        .filter((each) => !isLevels(each))
        .map(({ type, state_key: key, content }) => ({ type, content, stateKey: newerKey(key ?? "", server.name) })),
      powerLevels: {
        ...(preset === "trusted_private_chat" ? { users: Object.fromEntries(trusted) as object } : {}),
        ...body.power_level_content_override,
        ...state.find(isLevels)?.content,
      },
      moreOfInvites: body.is_direct ? { is_direct: true } : null,
    };
  }

  async function join(requester: Requester, input: Record<string, unknown>): Promise<{ room_id: string }> {
    const { roomId } = await refusingToJoin(joinRoom(tools, requester, input));
    return { room_id: roomId };
  }

  /** Leaving what was left is no error: bridges clean up by it. */
  async function leave(
    requester: Requester,
    roomId: string,
    input: Record<string, unknown>,
  ): Promise<Record<string, never>> {
    try {
      await leaveRoom(tools, requester, { ...input, roomId });
    } catch (error) {
      const refused = error instanceof HearthError && ["FORBIDDEN", "NOT_FOUND"].includes(error.code);
      if (!refused || (await membershipIn(domain, requester, roomId)) !== "leave") throw error;
    }
    return {};
  }

  return (routes) => {
    routes.call({
      ...{ ...common, paths: clientPaths("/createRoom"), body: createBody, answer: roomIdAnswer },
      summary: "Makes a room with everything that is asked for, or nothing.",
      async handle({ requester, query, body }) {
        const input = { ...sentAtOf(requester, query), ...roomOf(requester, body) };
        const names = { ALIAS_IN_USE: [400, "M_ROOM_IN_USE"], NOT_FOUND: [403, "M_FORBIDDEN"] } as const;
        const { roomId } = await renaming(names, createRoom(tools, requester, input));
        return { room_id: roomId };
      },
    });

    routes.call({
      ...{ ...common, paths: clientPaths("/join/:roomIdOrAlias"), body: ownBody, answer: roomIdAnswer },
      summary: "Joins a room by its id or an alias; who is in it already stays in it.",
      handle({ requester, params: { roomIdOrAlias = "" }, query, body: { reason } }) {
        const target = roomIdOrAlias.startsWith("#") ? { alias: roomIdOrAlias } : { roomId: roomIdOrAlias };
        return join(requester, { target, reason, ...sentAtOf(requester, query) });
      },
    });

    routes.call({
      ...{ ...common, paths: clientPaths("/rooms/:roomId/join"), body: ownBody, answer: roomIdAnswer },
      summary: "Joins a room by its id; who is in it already stays in it.",
      handle({ requester, params: { roomId }, query, body: { reason } }) {
        return join(requester, { target: { roomId }, reason, ...sentAtOf(requester, query) });
      },
    });

    routes.call({
      ...{ ...common, paths: clientPaths("/knock/:roomId"), body: ownBody, answer: roomIdAnswer },
      summary: "Asks to be let into a room.",
      async handle({ requester, params: { roomId = "" }, query, body: { reason } }) {
        await forbidding(knockRoom(tools, requester, { roomId, reason, ...sentAtOf(requester, query) }));
        return { room_id: roomId };
      },
    });

    routes.call({
      ...{ ...common, paths: clientPaths("/rooms/:roomId/leave"), body: ownBody, answer: nothing },
      summary: "Leaves a room, rejects an invite, or withdraws a knock.",
      handle: ({ requester, params: { roomId = "" }, query, body: { reason } }) =>
        forbidding(leave(requester, roomId, { reason, ...sentAtOf(requester, query) })),
    });

    const others = { invite: inviteUser, kick: kickUser, ban: banUser, unban: unbanUser };
    const summaries = {
      invite: "Invites a user into a room.",
      kick: "Makes a user leave a room, or takes back their invite; who names themselves leaves.",
      ban: "Bans a user from a room.",
      unban: "Lifts a ban.",
    };
    for (const name of ["invite", "kick", "ban", "unban"] as const) {
      routes.call({
        ...{ ...common, paths: clientPaths(`/rooms/:roomId/${name}`), body: othersBody, answer: nothing },
        summary: summaries[name],
        async handle({ requester, params: { roomId = "" }, query, body: { user_id: userId, reason } }) {
          const input = { reason, ...sentAtOf(requester, query) };
          if (name === "kick" && userId === requester.userId) {
            return forbidding(leave(requester, roomId, input));
          }
          await forbidding(others[name](tools, requester, { ...input, roomId, userId }));
          return {};
        },
      });
    }

    routes.call({
      ...{ method: "POST", group: roomGroup.membership, access: "user" },
      paths: clientPaths("/rooms/:roomId/forget"),
      summary: "Lets go of a room that was left. The server keeps what it would keep anyway.",
      answer: nothing,
      async handle({ requester, params: { roomId = "" } }) {
        const membership = await membershipIn(domain, requester, roomId);
        if (membership === "join" || membership === "invite" || membership === "knock") {
          throw new RestError(400, "M_UNKNOWN", "Leave the room before you forget it.");
        }
        return {};
      },
    });
  };
}

/** An alias that leads nowhere isn't found; a room that can't be entered is forbidden, whether or not it is there. */
function refusingToJoin<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    const isAlias = error instanceof HearthError && error.details["field"] === "alias";
    if (isAlias) throw error;
    return forbidding(Promise.reject(error as Error));
  });
}

async function membershipIn({ reading }: Domain, { userId }: Requester, roomId: string) {
  return (await accessToRooms(reading.connection, userId, [roomId])).get(roomId)?.membership ?? null;
}
