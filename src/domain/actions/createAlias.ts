import { z } from "zod";
import { check } from "../../model/check.ts";
import { aliasInUse, HearthError } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import { alias, roomId } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { findAlias } from "../../store/aliases.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { aliasesDraft, checkOwnAlias, demandFreeAlias, newAlias, presentAliases } from "./aliases.ts";
import { authoriseAll, present } from "./plan.ts";

const createAliasInput = z.strictObject({ ...commonInput, roomId, alias });

/**
 * Gives a room that the requester is in another alias of this server, or as an application service any room that everybody
 * may enter one of the service's namespace; gives the event that tells the room's aliases. An
 * alias that leads there already is no error and makes no event. [ALI-2]
 * Throws `BAD_INPUT` for aliases of other servers, `ALIAS_IN_USE`, `EXCLUSIVE`, `FORBIDDEN`, `NOT_FOUND`; `TOO_LARGE` when the room has so
 * many that one event can't tell them.
 */
export async function createAlias(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(createAliasInput, given);
  checkOwnAlias(tools, input.alias);
  const [event] = await act(tools, {
    requester,
    name: "createAlias",
    input,
    roomId: input.roomId,
    async plan(known, connection) {
      const room = present(known);
      const services = tools.registry.current();
      const { service } = requester;
      // A service gives aliases of its namespace to any room that everybody may enter. [AS-9]
      const controls = service !== undefined && services.has(service.id, "aliases", input.alias);
      if (room.membership(requester.userId) !== "join" && !(controls && room.joinRule === "public")) {
        throw new HearthError("FORBIDDEN", "You are not in the room.");
      }
      demandFreeAlias(services, requester, input.alias);
      const taken = await findAlias(connection, input.alias);
      if (taken !== null && taken.roomId !== input.roomId) throw aliasInUse();
      const { aliases, slot } = await presentAliases(connection, input.roomId, tools.serverName);
      if (taken !== null && slot.holder !== null) return { unchanged: [slot.holder] };
      // One that leads here untold, since what told it was redacted when that could be done, is told again.
      const all = taken === null ? [...aliases, input.alias] : aliases;
      return {
        append: authoriseAll([aliasesDraft(tools.serverName, all)], room, tools.serverName),
        slots: [slot],
        ...(taken === null ? newAlias(services, requester.userId, input.alias) : {}),
        room,
      };
    },
  });
  return event!;
}
