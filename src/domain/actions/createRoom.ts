import { z } from "zod";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check, jsonObject } from "../../model/check.ts";
import { historyVisibilities, joinRules } from "../../model/content/typed.ts";
import { emptyStateKey, type EventDraft, type StoredEvent } from "../../model/event.ts";
import { alias, userId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import type { RegistrySnapshot } from "../appservice/snapshot.ts";
import type { RoomAuthority } from "../rules/authority.ts";
import { checkStateContent } from "../rules/stateContent.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { aliasesDraft, checkOwnAlias, demandFreeAlias, newAlias } from "./aliases.ts";
import { authoriseAll } from "./plan.ts";
import { roomDoneIn } from "./lookUps.ts";
import { contentBesides, membershipDraft, more, mustExist } from "./membership.ts";
import { initialPowerLevels, newRoomAuthority } from "./newRoom.ts";
import { withoutOlderKey } from "./olderKeys.ts";
import { entering } from "./roomProfile.ts";
import { stateDraft, stateInput } from "./setStates.ts";

const createRoomInput = z.strictObject({
  ...commonInput,
  invite: z.array(userId).max(1000, "invites more than 1000 users").nullish(),
  published: z.boolean().default(false),
  joinRule: z.string().toLowerCase().pipe(z.enum(joinRules)).nullish(),
  historyVisibility: z.string().toLowerCase().pipe(z.enum(historyVisibilities)).nullish(),
  name: z.string().max(1000, "is longer than 1000 characters").nullish(),
  topic: z.string().max(5000, "is longer than 5000 characters").nullish(),
  alias: alias.nullish(),
  state: z.array(stateInput).max(100, "holds more than 100 events").nullish(),
  /** Keys of the first event besides `creator`, such as the type of the room. [AS-13] */
  creation: jsonObject.nullish(),
  /** Keys that go before those of the power levels that rooms begin with. */
  powerLevels: jsonObject.nullish(),
  /** Keys of each invite besides its membership, such as `is_direct`. */
  moreOfInvites: more,
});
type CreateRoomInput = z.output<typeof createRoomInput>;

/**
 * Makes a room with everything that was asked for, or nothing. [CRE-1] Gives its `m.room.create` event.
 * A room that is published is public unless it says otherwise; any other takes invited users only.
 */
export async function createRoom(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(createRoomInput, given);
  const invitees = [...new Set(input.invite ?? [])].filter((invitee) => invitee !== requester.userId);
  if (input.alias) checkOwnAlias(tools, input.alias);
  // A repeated action leads to the room that it made first. [ACT-2]
  const roomId = (await roomDoneIn(tools, requester, input.actionId)) ?? tools.ids.roomId(tools.serverName);
  await tools.queries.users(invitees);
  const drafts = draftsOf(tools, requester.userId, input, invitees);
  const newRoom = {
    creator: requester.userId,
    createdAt: tools.clock.now(),
    published: input.published,
  };
  const [event] = await act(tools, {
    requester,
    name: "createRoom",
    input,
    roomId,
    makesRoom: true,
    count: 1 + (input.state?.length ?? 0) + invitees.length,
    async plan(_known, connection) {
      await mustExist(connection, invitees, "invite");
      const room = newRoomAuthority(roomId, newRoom.creator, "invite");
      const profile = await entering(connection, room, newRoom.creator, tools.serverName);
      const all = [drafts[0]!, ...profile.drafts, ...drafts.slice(1)];
      const services = tools.registry.current();
      if (input.alias) demandFreeAlias(services, requester, input.alias);
      const problem = withoutOlderKey(drafts, tools.serverName);
      if (problem !== null && isTold(services, roomId, requester.userId, input, invitees)) throw problem;
      const named = {
        newRoom: { ...newRoom, services: services.toldOf("rooms", roomId) },
        registry: services.version,
        ...(input.alias ? newAlias(services, newRoom.creator, input.alias) : {}),
      };
      return { append: authoriseNewRoom(all, room, tools.serverName), ...named, room };
    },
  });
  return event!;
}

/** Whether an application service is told of the room from its beginning. [AS-5] */
function isTold(
  services: RegistrySnapshot,
  roomId: string,
  creator: string,
  { alias }: CreateRoomInput,
  invitees: readonly string[],
): boolean {
  const users = [creator, ...invitees];
  const named = [services.toldOf("rooms", roomId), alias ? services.toldOf("aliases", alias) : []];
  return [...named, ...users.map((user) => services.toldOf("users", user))].some((told) => told.length > 0);
}

/** What makes the room answers to no rule: its first event, and the levels that it begins with. All that follow do. */
function authoriseNewRoom(drafts: EventDraft[], room: RoomAuthority, serverName: string): EventDraft[] {
  const levels = drafts.findIndex(({ type }) => type === "m.room.power_levels");
  authoriseAll(drafts.slice(1, levels), room, serverName);
  room.apply(drafts[levels]!);
  authoriseAll(drafts.slice(levels + 1), room, serverName);
  return drafts;
}

function draftsOf(
  tools: ActionTools,
  creator: string,
  input: CreateRoomInput,
  invitees: readonly string[],
): EventDraft[] {
  const state = (type: string, content: Record<string, unknown>): EventDraft => ({
    type,
    stateKey: emptyStateKey,
    sender: creator,
    // Its keys are those of the input.
    content: canonicalJson(content, ""),
  });
  const powerLevels = { ...initialPowerLevels(creator), ...input.powerLevels };
  checkStateContent("m.room.power_levels", powerLevels, "powerLevels");
  const joinRule = input.joinRule ?? (input.published ? "public" : "invite");
  const inviting = contentBesides({ more: input.moreOfInvites });
  return [
    state("m.room.create", { ...input.creation, creator }),
    membershipDraft(creator, creator, "join"),
    state("m.room.power_levels", powerLevels),
    state("m.room.join_rules", { join_rule: joinRule }),
    state("m.room.history_visibility", { history_visibility: input.historyVisibility ?? "shared" }),
    ...(input.name ? [state("m.room.name", { name: input.name })] : []),
    ...(input.topic ? [state("m.room.topic", { topic: input.topic })] : []),
    ...(input.alias ? [aliasesDraft(tools.serverName, [input.alias])] : []),
    ...(input.state ?? []).map((each, index) => stateDraft(creator, each, `state.${index}.`)),
    ...invitees.map((invitee) => membershipDraft(creator, invitee, "invite", inviting)),
  ];
}
