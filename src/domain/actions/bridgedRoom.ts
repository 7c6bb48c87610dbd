import { canonicalJson } from "../../model/canonicalJson.ts";
import { HearthError } from "../../model/errors.ts";
import { emptyStateKey, isServersOwn, plainType, type EventDraft } from "../../model/event.ts";
import { isRoomId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { newerKey } from "../../model/olderKeys.ts";
import { checkStateContent } from "../rules/stateContent.ts";
import { act, type ActionTools } from "./act.ts";
import { aliasesDraft, demandFreeAlias, newAlias, presentAliases } from "./aliases.ts";
import { membershipDraft } from "./membership.ts";
import { initialPowerLevels, newRoomAuthority } from "./newRoom.ts";
import { entering } from "./roomProfile.ts";
import { stateType } from "./setStates.ts";

/** An event of a room that an application service describes; a state key, in the older form, makes it state. */
export interface BridgedEvent {
  type: string;
  content: Record<string, unknown>;
  sender: string;
  stateKey: string | undefined;
  /** Milliseconds since the epoch. */
  sentAt: number | undefined;
}

/**
 * Makes the room behind an alias as the service that owns the alias describes it: under the alias with `!` for `#`, with
 * the usual state and a public join rule, which its state overrides, and its messages, each at its own time. Who speaks
 * there has joined. Nobody's power is asked for: the room is the service's. [AS-3]
 * Throws `BAD_INPUT` for what no event can be, `TOO_LARGE`, `ALIAS_IN_USE`. Where the room is there
 * already it only has the alias again.
 */
export async function bridgedRoom(
  tools: ActionTools,
  requester: Requester,
  { alias, state, events }: { alias: string; state: readonly BridgedEvent[]; events: readonly BridgedEvent[] },
): Promise<void> {
  const roomId = `!${alias.slice(1)}`;
  if (!isRoomId(roomId)) throw new HearthError("BAD_INPUT", "The alias makes no room id.", { field: "alias" });
  const creator = requester.userId;
  const began = state[0]?.sentAt ?? events[0]?.sentAt ?? tools.clock.now();
  const speakers = [...new Set([...state, ...events].map(({ sender }) => sender))].filter(
    (sender) => sender !== creator,
  );
  const described = [
    ...state.map((each, index) => stateOf(tools, each, `state.${index}`)),
    ...events.map(messageOf(tools)),
  ];
  const newRoom = { creator, createdAt: began, published: false };

  await act(tools, {
    requester,
    name: "bridgedRoom",
    input: {},
    roomId,
    makesRoom: true,
    async plan(known, connection) {
      const services = tools.registry.current();
      demandFreeAlias(services, requester, alias);
      if (known !== null) {
        // The alias was deleted and is asked for again.
        const { aliases, slot } = await presentAliases(connection, roomId, tools.serverName);
        const told = aliasesDraft(tools.serverName, [...aliases, alias]);
        return { append: [told], slots: [slot], ...newAlias(services, creator, alias), room: known };
      }
      const room = newRoomAuthority(roomId, creator, "public");
      const at = (draft: EventDraft): EventDraft => ({ sentAt: began, ...draft });
      const usual = usualState(creator).map(at);
      const joins: EventDraft[] = [];
      for (const userId of [creator, ...speakers]) {
        const { drafts } = await entering(connection, room, userId, tools.serverName);
        joins.push(...drafts.map(at), at(membershipDraft(userId, userId, "join")));
      }
      const told = at(aliasesDraft(tools.serverName, [alias]));
      return {
        append: [usual[0]!, ...joins, ...usual.slice(1), told, ...described],
        newRoom: { ...newRoom, services: services.toldOf("rooms", roomId) },
        ...newAlias(services, creator, alias),
        room,
      };
    },
  });
}

function usualState(creator: string): EventDraft[] {
  const contents = {
    "m.room.create": { creator },
    "m.room.power_levels": initialPowerLevels(creator),
    "m.room.join_rules": { join_rule: "public" },
    "m.room.history_visibility": { history_visibility: "shared" },
  };
  return Object.entries(contents).map(([type, content]) => ({
    ...{ type, stateKey: emptyStateKey, sender: creator },
    content: canonicalJson(content, ""),
  }));
}

function stateOf({ serverName }: ActionTools, event: BridgedEvent, path: string): EventDraft {
  const type = stateType(event.type, `${path}.type`);
  checkStateContent(type, event.content, `${path}.content`);
  const content = canonicalJson(event.content, `${path}.content`);
  return {
    type,
    stateKey: newerKey(event.stateKey ?? "", serverName),
    sender: event.sender,
    content,
    ...timeOf(event),
  };
}

function messageOf(tools: ActionTools): (event: BridgedEvent, index: number) => EventDraft {
  return (event, index) => {
    const path = `events.${index}`;
    if (event.stateKey !== undefined) return stateOf(tools, event, path);
    const type = plainType(event.type, "MESSAGE", `${path}.type`);
    if (isServersOwn(type)) throw new HearthError("BAD_INPUT", `${path}.type: ${type} is not sent as a message`);
    return { type, sender: event.sender, content: canonicalJson(event.content, `${path}.content`), ...timeOf(event) };
  };
}

function timeOf({ sentAt }: BridgedEvent): { sentAt?: number } {
  return sentAt === undefined ? {} : { sentAt };
}
