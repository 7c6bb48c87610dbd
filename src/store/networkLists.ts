import type { Membership } from "../model/content/typed.ts";
import type { PublishedRoomShape } from "../model/publishedRoom.ts";
import { query, type Connection } from "./database.ts";

/** A room in the list that an application service keeps for a network. */
export interface ListedRoom {
  serviceId: string;
  networkId: string;
  roomId: string;
}

/** Lists a room, or no more; doing it again changes nothing. */
export async function setListed(
  connection: Connection,
  { serviceId: appServiceId, networkId, roomId }: ListedRoom,
  listed: boolean,
): Promise<void> {
  const row = { appServiceId, networkId, roomId };
  if (listed) await connection.networkList.createMany({ data: [row], skipDuplicates: true });
  else await connection.networkList.deleteMany({ where: row });
}

/** Which lists, and where in them. */
export interface ListedRequest {
  serviceIds: readonly string[];
  /** One of the services' networks; null: all. */
  networkId: string | null;
  /** Also rooms that are published here. */
  published: boolean;
  /** Part of an alias, the name or the topic, in any case; null: all rooms. */
  search: string | null;
  userId: string;
  /** The room that the page before ended with; empty for the first. */
  after: string;
  limit: number;
}

/** Rooms of lists by id, each once, as they are now. */
export async function listedRooms(connection: Connection, request: ListedRequest): Promise<PublishedRoomShape[]> {
  return query<PublishedRoomShape & { viewerMembership: Membership | null }>(
    connection,
    `SELECT listed.room_id AS "roomId", told.name, told.topic, told.avatar, told.aliases,
       (SELECT count(*)::integer FROM member WHERE member.room_id = listed.room_id AND membership = 'join') AS members,
       (SELECT membership FROM member WHERE member.room_id = listed.room_id AND user_id = $6) AS "viewerMembership"
     FROM (
       SELECT DISTINCT list.room_id FROM network_list AS list JOIN room USING (room_id)
       WHERE list.app_service_id = ANY ($1::text[]) AND ($2::text IS NULL OR list.network_id = $2)
         AND list.room_id > $3 AND room.deleted_at IS NULL AND ($4::boolean OR NOT room.published)
     ) AS listed
     CROSS JOIN LATERAL told_of_room(listed.room_id) AS told
     WHERE $5::text IS NULL OR position(directory_text($5) IN
       directory_text(concat_ws(E'\\n', told.name, array_to_string(told.aliases, E'\\n'), told.topic))) > 0
     ORDER BY listed.room_id LIMIT $7::integer`,
    request.serviceIds,
    request.networkId,
    request.after,
    request.published,
    request.search,
    request.userId,
    request.limit,
  );
}
