import { z } from "zod";
import { check } from "../../model/check.ts";
import { aliasNotFound, HearthError } from "../../model/errors.ts";
import type { StoredEvent } from "../../model/event.ts";
import { alias } from "../../model/ids.ts";
import type { Requester } from "../../model/requester.ts";
import { findAlias } from "../../store/aliases.ts";
import { act, commonInput, type ActionTools } from "./act.ts";
import { aliasesDraft, presentAliases } from "./aliases.ts";
import { roomDoneIn } from "./lookUps.ts";
import { authoriseAll, present } from "./plan.ts";

const deleteAliasInput = z.strictObject({ ...commonInput, alias });

/**
 * Takes an alias from its room: for who made it, the room's operators and admins of the server. Gives the event that tells
 * the aliases that are left. [ALI-2] Throws `NOT_FOUND` for an alias that there isn't, `FORBIDDEN`.
 */
export async function deleteAlias(tools: ActionTools, requester: Requester, given: unknown): Promise<StoredEvent> {
  const input = check(deleteAliasInput, given);
  const found = await findAlias(tools.database.reader, input.alias);
  const roomId = found?.roomId ?? (await roomDoneIn(tools, requester, input.actionId));
  if (roomId === null) throw aliasNotFound();
  const [event] = await act(tools, {
    requester,
    name: "deleteAlias",
    input,
    roomId,
    async plan(known, connection) {
      const room = present(known);
      const alias = await findAlias(connection, input.alias);
      if (alias?.roomId !== roomId) throw aliasNotFound();
      const { service } = requester;
      // A service controls all aliases of its namespaces. [AS-9]
      const controls = service !== undefined && tools.registry.current().has(service.id, "aliases", input.alias);
      const own = alias.creator === requester.userId || controls;
      const may = own || requester.admin || room.isOperator(requester.userId);
      if (!may) {
        throw new HearthError("FORBIDDEN", "An alias is deleted by who made it, and by operators of its room.");
      }
      const { aliases, slot } = await presentAliases(connection, roomId, tools.serverName);
      const drafts = [
        aliasesDraft(
          tools.serverName,
          aliases.filter((each) => each !== input.alias),
        ),
      ];
      return {
        append: authoriseAll(drafts, room, tools.serverName),
        slots: [slot],
        aliases: [{ alias: input.alias, creator: null }],
        room,
      };
    },
  });
  return event!;
}
