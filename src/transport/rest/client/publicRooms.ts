import { z } from "zod";
import type { Domain } from "../../../domain/domain.ts";
import { directory, type DirectoryArguments, type DirectoryRoom } from "../../../domain/networkLists.ts";
import type { Requester } from "../../../model/requester.ts";
import { clientPaths, type Routes } from "../routes.ts";
import { group } from "./common.ts";

const publicRoom = z.object({
  ...{ room_id: z.string(), name: z.string().optional(), topic: z.string().optional() },
  ...{ avatar_url: z.string().optional(), canonical_alias: z.string().optional(), aliases: z.array(z.string()) },
  ...{ num_joined_members: z.number(), join_rule: z.string() },
  ...{ world_readable: z.boolean(), guest_can_join: z.boolean() },
});
const answer = z.object({
  chunk: z.array(publicRoom),
  next_batch: z.string().optional(),
  total_room_count_estimate: z.number().optional(),
});
const query = z.object({
  limit: z.coerce.number().int().optional(),
  since: z.string().optional(),
  server: z.string().optional(),
});
const body = z.looseObject({
  limit: z.number().int().nullish(),
  since: z.string().nullish(),
  filter: z.looseObject({ generic_search_term: z.string().nullish() }).nullish(),
  third_party_instance_id: z
    .string()
    .nullish()
    .meta({ description: "A network's list, by its `instance_id`; instead of the rooms that are published here." }),
  include_all_networks: z.boolean().nullish(),
});

/** Published rooms. [DIR] */
export function publicRoomsRoutes(domain: Domain): (routes: Routes) => void {
  async function find(requester: Requester, args: DirectoryArguments): Promise<z.input<typeof answer>> {
    const { rooms, next, total } = await directory(domain.tools, requester, args);
    return {
      chunk: rooms.map(publicRoomJson),
      ...(next === null ? {} : { next_batch: next }),
      ...(total === null ? {} : { total_room_count_estimate: total }),
    };
  }

  return (routes) => {
    const shared = { paths: clientPaths("/publicRooms"), group: group.directory, access: "user", answer } as const;
    routes.call({
      ...{ method: "GET", ...shared, query, summary: "Published rooms, those with most members first." },
      handle: ({ requester, query: { limit, since, server } }) => find(requester, { limit, after: since, server }),
    });
    routes.call({
      ...{ method: "POST", ...shared, query: query.pick({ server: true }), body },
      summary: "Published rooms that hold a text in name, topic or alias, also those that networks list.",
      handle: ({ requester, query: { server }, body: asked }) =>
        find(requester, {
          ...{ server, limit: asked.limit, after: asked.since, search: asked.filter?.generic_search_term },
          ...{ network: asked.third_party_instance_id, allNetworks: asked.include_all_networks },
        }),
    });
  };
}

function publicRoomJson(room: DirectoryRoom): z.input<typeof publicRoom> {
  const { roomId, name, topic, avatar, aliases, members, joinRule, worldReadable } = room;
  const [alias] = aliases;
  return {
    room_id: roomId,
    ...(name === null ? {} : { name }),
    ...(topic === null ? {} : { topic }),
    ...(avatar === null ? {} : { avatar_url: avatar }),
    ...(alias === undefined ? {} : { canonical_alias: alias }),
    ...{ aliases, num_joined_members: members, join_rule: joinRule },
    ...{ world_readable: worldReadable, guest_can_join: false },
  };
}
