import { z } from "zod";
import { canonicalJson } from "../../model/canonicalJson.ts";
import { check } from "../../model/check.ts";
import { historyVisibilities, joinRules } from "../../model/content/typed.ts";
import { badInput } from "../../model/errors.ts";
import { emptyStateKey, type EventDraft, type StoredEvent } from "../../model/event.ts";
import { alias, serverOf, userId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { RoomAuthority } from "../rules/authority.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { authoriseAll } from "./plan.ts";
import { roomDoneIn } from "./lookUps.ts";
import { membershipDraft, mustExist } from "./membership.ts";
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
});
type CreateRoomInput = z.output<typeof createRoomInput>;

/**
 * Makes a room with everything that was asked for, or nothing. [CRE-1] Gives its `m.room.create` event.
 * A room that is published is public unless it says otherwise; any other takes invited users only.
 */
export async function createRoom(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(createRoomInput, given);
  const invitees = [...new Set(input.invite ?? [])].filter((invitee) => invitee !== requester.userId);
  if (input.alias && serverOf(input.alias) !== tools.serverName) {
    throw badInput("alias", `is not one of this server, ${tools.serverName}`);
  }
  // A repeated action leads to the room that it made first. [ACT-2]
  const roomId = (await roomDoneIn(tools, requester, input.actionId)) ?? tools.ids.roomId(tools.serverName);
  const drafts = draftsOf(tools, requester.userId, input, invitees);
  const newRoom = {
    creator: requester.userId,
    createdAt: tools.clock.now(),
    published: input.published,
    alias: input.alias ?? null,
  };
  const [event] = await act(tools, {
    requester,
    name: "createRoom",
    input,
    roomId,
    makesRoom: true,
    async plan(_known, connection) {
      await mustExist(connection, invitees, "invite");
      const room = new RoomAuthority(
        {
          roomId,
          version: null,
          creator: newRoom.creator,
          powerContent: null,
          joinRule: "invite",
          visibility: "shared",
        },
        new Map(),
      );
      return { append: authoriseNewRoom(drafts, room, tools.serverName), newRoom, room };
    },
  });
  return event!;
}

/** The first event makes the room and answers to no rule; all that follow do. */
function authoriseNewRoom(drafts: EventDraft[], room: RoomAuthority, serverName: string): EventDraft[] {
  authoriseAll(drafts.slice(1), room, serverName);
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
  const joinRule = input.joinRule ?? (input.published ? "public" : "invite");
  return [
    state("m.room.create", { creator }),
    membershipDraft(creator, creator, "join"),
    state("m.room.power_levels", initialPowerLevels(creator)),
    state("m.room.join_rules", { join_rule: joinRule }),
    state("m.room.history_visibility", { history_visibility: input.historyVisibility ?? "shared" }),
    ...(input.name ? [state("m.room.name", { name: input.name })] : []),
    ...(input.topic ? [state("m.room.topic", { topic: input.topic })] : []),
    ...(input.alias
      ? [
          {
            type: "m.room.aliases",
            stateKey: tools.serverName,
            sender: tools.serverName,
            content: canonicalJson({ aliases: [input.alias] }, "alias"),
          },
        ]
      : []),
    ...(input.state ?? []).map((each, index) => stateDraft(creator, each, `state.${index}.`)),
    ...invitees.map((invitee) => membershipDraft(creator, invitee, "invite")),
  ];
}

/** Written in full, since bridges read, change and write it whole. */
function initialPowerLevels(creator: string): Record<string, unknown> {
  return {
    users: { [creator]: 100 },
    users_default: 0,
    events: {},
    events_default: 0,
    state_default: 50,
    invite: 0,
    kick: 50,
    ban: 50,
    redact: 50,
  };
}
