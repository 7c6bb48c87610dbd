import { z } from "zod";
import { createAlias } from "../../../domain/actions/createAlias.ts";
import { deleteAlias } from "../../../domain/actions/deleteAlias.ts";
import type { Domain } from "../../../domain/domain.ts";
import { listRoom } from "../../../domain/networkLists.ts";
import { isPublished, publishRoom } from "../../../domain/publishedRooms.ts";
import { check } from "../../../model/check.ts";
import { aliasNotFound } from "../../../model/errors.ts";
import { alias as aliasId, roomId } from "../../../model/ids.ts";
import { clientPaths, type Routes } from "../routes.ts";
import { group, nothing } from "./common.ts";

const visibility = z.enum(["public", "private"]);
const publishing = z.looseObject({ visibility: visibility.default("public") });

/** Aliases, and which rooms are published. [ALI, DIR-4] */
export function directoryRoutes(domain: Domain): (routes: Routes) => void {
  const { tools, server } = domain;

  return (routes) => {
    const aliases = { paths: clientPaths("/directory/room/:alias"), group: group.directory, access: "user" } as const;
    routes.call({
      ...{
        method: "GET",
        ...aliases,
        summary:
          "The room that an alias leads to; asks the application service whose alias it is where nobody knows it here.",
      },
      answer: z.object({ room_id: z.string(), servers: z.array(z.string()) }),
      async handle({ params }) {
        const id = await tools.queries.alias(check(aliasId, params["alias"], "alias"));
        if (id === null) throw aliasNotFound();
        return { room_id: id, servers: [server.name] };
      },
    });
    routes.call({
      ...{ method: "PUT", ...aliases, summary: "Gives a room that one is in an alias." },
      ...{ body: z.looseObject({ room_id: z.string() }), answer: nothing },
      async handle({ requester, params, body }) {
        await createAlias(tools, requester, { alias: params["alias"], roomId: body.room_id });
        return {};
      },
    });
    routes.call({
      ...{ method: "DELETE", ...aliases, answer: nothing },
      summary: "Deletes an alias: for who made it, operators of its room, and the service whose namespace it is in.",
      async handle({ requester, params }) {
        await deleteAlias(tools, requester, { alias: params["alias"] });
        return {};
      },
    });

    const lists = {
      paths: clientPaths("/directory/list/room/:roomId"),
      group: group.directory,
      access: "user",
    } as const;
    routes.call({
      ...{ method: "GET", ...lists, summary: "Whether a room is published.", answer: z.object({ visibility }) },
      async handle({ requester, params }) {
        const published = await isPublished(tools, requester, check(roomId, params["roomId"], "roomId"));
        return { visibility: published ? ("public" as const) : ("private" as const) };
      },
    });
    routes.call({
      ...{ method: "PUT", ...lists, summary: "Publishes a room, or takes it back; for its operators." },
      ...{ body: publishing, answer: nothing },
      async handle({ requester, params, body }) {
        const published = body.visibility === "public";
        await publishRoom(tools, requester, { roomId: params["roomId"], published });
        return {};
      },
    });

    const networks = {
      paths: clientPaths("/directory/list/appservice/:networkId/:roomId"),
      group: group.services,
      access: "user",
    } as const;
    const list = async (requester: Parameters<typeof listRoom>[1], params: Record<string, string>, listed: boolean) => {
      await listRoom(tools, requester, { networkId: params["networkId"], roomId: params["roomId"], listed });
      return {};
    };
    routes.call({
      ...{ method: "PUT", ...networks, summary: "Lists a room for a network that the service bridges, or no more." },
      ...{ body: publishing, answer: nothing },
      handle: ({ requester, params, body }) => list(requester, params, body.visibility === "public"),
    });
    routes.call({
      ...{ method: "DELETE", ...networks, summary: "Lists a room for a network no more.", answer: nothing },
      handle: ({ requester, params }) => list(requester, params, false),
    });
  };
}
