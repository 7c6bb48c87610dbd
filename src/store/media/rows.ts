import { query, type Connection } from "../database.ts";

/** A file, with where its bytes lie. */
export interface StoredMedia {
  mediaId: string;
  sha256: string;
  uploader: string;
  contentType: string;
  fileName: string | null;
  size: number;
  createdAt: Date;
  place: string;
}

type Row = Omit<StoredMedia, "size"> & { size: bigint };

const columns = `media.media_id AS "mediaId", encode(media.sha256, 'hex') AS sha256, media.uploader,
  media.content_type AS "contentType", media.file_name AS "fileName", media.size, media.created_at AS "createdAt",
  media_blob.place`;
const joined = "media JOIN media_blob ON media_blob.sha256 = media.sha256 AND media_blob.state = 'live'";

function mediaOfRow(row: Row): StoredMedia {
  return { ...row, size: Number(row.size) };
}

/** A file by its id; null when there is none. */
export async function findMedia(connection: Connection, mediaId: string): Promise<StoredMedia | null> {
  const rows = await query<Row>(connection, `SELECT ${columns} FROM ${joined} WHERE media.media_id = $1`, mediaId);
  return rows[0] === undefined ? null : mediaOfRow(rows[0]);
}

/** Where a page of a user's files begins: after this one. */
export interface MediaAfter {
  createdAt: Date;
  mediaId: string;
}

/** Up to `limit` files of a user, the newest or the oldest first. */
export async function mediaPage(
  connection: Connection,
  {
    uploader,
    after,
    limit,
    order,
  }: { uploader: string; after: MediaAfter | null; limit: number; order: "ASC" | "DESC" },
): Promise<StoredMedia[]> {
  const beyond = order === "ASC" ? ">" : "<";
  const from = after === null ? "" : `AND (media.created_at, media.media_id) ${beyond} ($3, $4)`;
  const rows = await query<Row>(
    connection,
    `SELECT ${columns} FROM ${joined} WHERE media.uploader = $1 ${from}
     ORDER BY media.created_at ${order}, media.media_id ${order} LIMIT $2::integer`,
    ...[uploader, limit, ...(after === null ? [] : [after.createdAt, after.mediaId])],
  );
  return rows.map(mediaOfRow);
}

export async function countMedia(connection: Connection, uploader: string): Promise<number> {
  return connection.media.count({ where: { uploader } });
}

/** The bytes that a user's files take. */
export async function usedBytes(connection: Connection, userId: string): Promise<number> {
  return Number((await connection.mediaUsage.findUnique({ where: { userId } }))?.bytes ?? 0);
}

/** Whether files have such bytes already. */
export async function isLive(connection: Connection, sha256: string): Promise<boolean> {
  const found = await query(
    connection,
    "SELECT place FROM media_blob WHERE sha256 = decode($1, 'hex') AND state = 'live'",
    sha256,
  );
  return found.length > 0;
}

/** Notes a place before bytes are put there. */
export async function startBlob(connection: Connection, place: string, sha256: string, now: Date): Promise<void> {
  await connection.mediaBlob.create({
    data: { place, sha256: new Uint8Array(Buffer.from(sha256, "hex")), state: "pending", changedAt: now },
  });
}

/** Gives up a place that no file has yet; false when a file has it, or it is given up already. */
export async function abandonBlob(connection: Connection, place: string, now: Date): Promise<boolean> {
  const { count } = await connection.mediaBlob.updateMany({
    where: { place, state: "pending" },
    data: { state: "dead", changedAt: now },
  });
  return count > 0;
}

/** A file to be made. */
export interface KeptMedia extends Omit<StoredMedia, "place"> {
  /** Where its bytes were put; null when some other file was to have them. */
  place: string | null;
  /** Bytes that the uploader's files may take; 0: any. */
  quota: number;
  /** The id must be reserved by the uploader. */
  reserved: boolean;
}

export type KeepOutcome = "kept" | "quota" | "gone" | "unreserved" | "closed";

/** Makes a file, if all holds that has to: one of the outcomes of `media_keep`. */
export async function keepMedia(connection: Connection, media: KeptMedia): Promise<KeepOutcome> {
  const rows = await query<{ outcome: KeepOutcome }>(
    connection,
    "SELECT media_keep($1, decode($2, 'hex'), $3, $4, $5, $6, $7, $8, $9, $10) AS outcome",
    ...[media.mediaId, media.sha256, BigInt(media.size), media.uploader, media.contentType, media.fileName],
    ...[media.createdAt, media.place, BigInt(media.quota), media.reserved],
  );
  return rows[0]!.outcome;
}

/** False when there was no such file. */
export async function deleteMedia(connection: Connection, mediaId: string, now: Date): Promise<boolean> {
  const rows = await query<{ deleted: boolean }>(connection, "SELECT media_delete($1, $2) AS deleted", mediaId, now);
  return rows[0]!.deleted;
}

/** A place that is to be emptied. */
export interface DeadBlob {
  place: string;
  sha256: string;
}

/** Up to `limit` places to empty: dead ones, and those that nobody has put bytes to since `before`. */
export async function deadBlobs(connection: Connection, before: Date, limit: number): Promise<DeadBlob[]> {
  await query(
    connection,
    "UPDATE media_blob SET state = 'dead' WHERE state <> 'live' AND state = 'pending' AND changed_at < $1",
    before,
  );
  return query<DeadBlob>(
    connection,
    `SELECT place, encode(sha256, 'hex') AS sha256 FROM media_blob WHERE state <> 'live' AND state = 'dead'
     ORDER BY changed_at LIMIT $1::integer`,
    limit,
  );
}

/** The dead places of these bytes. */
export function deadBlobsOf(connection: Connection, sha256: string): Promise<DeadBlob[]> {
  return query<DeadBlob>(
    connection,
    `SELECT place, encode(sha256, 'hex') AS sha256 FROM media_blob
     WHERE state <> 'live' AND state = 'dead' AND sha256 = decode($1, 'hex')`,
    sha256,
  );
}

/** Forgets a place that was emptied. */
export async function forgetBlob(connection: Connection, place: string): Promise<void> {
  await connection.mediaBlob.deleteMany({ where: { place, state: "dead" } });
}

/** Of these bytes, those that no file has. */
export async function unusedHashes(connection: Connection, sha256s: readonly string[]): Promise<string[]> {
  const rows = await query<{ sha256: string }>(
    connection,
    `SELECT sha256 FROM unnest($1::text[]) AS asked (sha256)
     WHERE NOT EXISTS (SELECT FROM media WHERE media.sha256 = decode(asked.sha256, 'hex'))`,
    [...sha256s],
  );
  return rows.map((row) => row.sha256);
}

// Ids that were given away before their content.

/** Reserves an id, unless as many of the user's wait already: false then. Those that come at once are counted one by one. */
export async function reserve(
  connection: Connection,
  reservation: { mediaId: string; userId: string; expiresAt: Date },
  { now, max }: { now: Date; max: number },
): Promise<boolean> {
  const { userId } = reservation;
  await query(connection, "SELECT user_id FROM account WHERE user_id = $1 FOR NO KEY UPDATE", userId);
  const waiting = await connection.mediaReservation.count({ where: { userId, expiresAt: { gt: now } } });
  if (waiting >= max) return false;
  await connection.mediaReservation.create({ data: reservation });
  return true;
}

/** Whom an id waits for; null for one that nobody has reserved, or not any more. */
export async function reservedFor(connection: Connection, mediaId: string, now: Date): Promise<string | null> {
  const found = await connection.mediaReservation.findUnique({ where: { mediaId } });
  return found !== null && found.expiresAt > now ? found.userId : null;
}

export async function endReservations(connection: Connection, now: Date): Promise<void> {
  await connection.mediaReservation.deleteMany({ where: { expiresAt: { lte: now } } });
}

export async function endReservationsOf(connection: Connection, userId: string): Promise<void> {
  await connection.mediaReservation.deleteMany({ where: { userId } });
}
