import { z } from "zod";
import { check } from "../model/check.ts";
import { HearthError, roomNotFound } from "../model/errors.ts";
import { indexedText, roomId } from "../model/ids.ts";
import { maxPage } from "../model/paging.ts";
import type { PublishedRoomShape } from "../model/publishedRoom.ts";
import type { Requester } from "../model/requester.ts";
import * as store from "../store/networkLists.ts";
import { opennessOf, type Openness } from "../store/publishedRooms.ts";
import type { ActionTools } from "./actions/act.ts";
import { loadAuthority } from "./append/authorities.ts";
import { publishedRooms, searchOf } from "./publishedRooms.ts";
import { knowsRoom } from "./reading/views.ts";

const listRoomInput = z.strictObject({ networkId: indexedText, roomId, listed: z.boolean() });

/**
 * Lists a room for a network that an application service bridges, or no more; doing it again changes nothing. What a
 * service lists is apart from the rooms that are published here. [AS-13]
 * A room that anybody may join can be listed by any service, others by services that act as an operator: else
 * `FORBIDDEN`, and `NOT_FOUND` for rooms that the user may not see.
 */
export async function listRoom({ database }: ActionTools, requester: Requester, given: unknown): Promise<void> {
  const { service, userId } = requester;
  if (service?.as !== "own") throw new HearthError("FORBIDDEN", "Lists of networks are for application services.");
  const { listed, ...input } = check(listRoomInput, given);
  if (listed) {
    const room = await loadAuthority(database.reader, input.roomId, [userId]);
    if (room === null) throw roomNotFound();
    if (room.joinRule !== "public" && !room.isOperator(userId)) {
      if (!(await knowsRoom(database.reader, userId, input.roomId))) throw roomNotFound();
      throw new HearthError("FORBIDDEN", "Only its operators may list a room that not everybody may join.");
    }
  }
  await store.setListed(database.reader, { serviceId: service.id, ...input }, listed);
}

/** A room of the directory, with what somebody has to know who isn't in it. */
export interface DirectoryRoom extends PublishedRoomShape, Openness {}

export interface DirectoryArguments {
  search?: string | null | undefined;
  server?: string | null | undefined;
  /** Rooms on a page; a page holds 500 at most, and may hold fewer. */
  limit?: number | null | undefined;
  after?: string | null | undefined;
  /** A service and its network, such as `irc|libera`, instead of the rooms that are published here. */
  network?: string | null | undefined;
  /** The rooms that are published here, then those that any network lists. */
  allNetworks?: boolean | null | undefined;
}

/** A page of the directory: of the published rooms as `publishedRooms` has them, of a network's list, or of all. [DIR-1, AS-13] */
export async function directory(
  tools: ActionTools,
  requester: Requester,
  args: DirectoryArguments,
): Promise<{ rooms: DirectoryRoom[]; next: string | null; total: number | null }> {
  const { database, tokens, serverName, registry } = tools;
  const limit = Math.min(Math.max(args.limit ?? 100, 1), maxPage);
  const rooms: PublishedRoomShape[] = [];
  const [place, after] = args.after
    ? (tokens.readChunk(args.after, "directory", serverName) as ["here" | "networks", string])
    : [args.network ? "networks" : "here", null];
  const token = (...key: ["here" | "networks", string]): string => tokens.chunk("directory", serverName, key);
  let next: string | null = null;
  let total: number | null = null;

  async function addPublished(): Promise<boolean> {
    const page = await publishedRooms(tools, requester, { ...args, first: limit, after });
    rooms.push(...page.edges.map(({ node }) => node));
    total = (await page.total?.()) ?? null;
    if (page.hasNextPage && page.end !== undefined) next = token("here", page.end);
    return !page.hasNextPage;
  }

  async function addListed(from: string): Promise<void> {
    const { serviceIds, networkId } = listsOf(registry.current().services, args.network);
    const room = limit - rooms.length;
    const found = await store.listedRooms(database.reader, {
      ...{ serviceIds, networkId, search: searchOf(args.search), userId: requester.userId },
      ...{ published: Boolean(args.network), after: from, limit: room + 1 },
    });
    rooms.push(...found.slice(0, room));
    if (found.length > room) next = token("networks", found[room - 1]?.roomId ?? from);
  }

  if (place === "networks") await addListed(after ?? "");
  else if ((await addPublished()) && args.allNetworks) await addListed("");
  const openness = await opennessOf(
    database.reader,
    rooms.map(({ roomId: id }) => id),
  );
  return { rooms: rooms.map((room) => ({ ...room, ...openness.get(room.roomId)! })), next, total };
}

/** The lists that a name such as `irc|libera` stands for; without one, all. */
function listsOf(services: readonly { id: string }[], network: string | null | undefined) {
  if (!network) return { serviceIds: services.map(({ id }) => id), networkId: null };
  const service = services.find(({ id }) => network.startsWith(`${id}|`));
  if (service === undefined) return { serviceIds: [], networkId: null };
  return { serviceIds: [service.id], networkId: network.slice(service.id.length + 1).replaceAll("\0", "") };
}
