import { lockAppending } from "./append.ts";
import { query, type Connection } from "./database.ts";

/** Where a registration is from: a file of the admin, the service itself by a token of the admin's, or anybody. */
export type RegistrationSource = "file" | "token" | "open";

/** A registration as it is stored. */
export interface AppServiceRow {
  id: string;
  asTokenHash: Uint8Array;
  hsToken: string;
  senderLocalpart: string;
  /** JSON as it was registered, without tokens. */
  registration: string;
  source: RegistrationSource;
  version: number;
  settled: boolean;
}

/** All registrations, as of one version. */
export interface RegistryRows {
  version: number;
  services: AppServiceRow[];
}

/** Reads the registrations that hold, and their common version, in one statement. */
export async function readRegistry(connection: Connection): Promise<RegistryRows> {
  const rows = await query<{ registry: number; id: string | null } & RawService>(
    connection,
    `SELECT registry.version::float8 AS registry, service.id, as_token_hash, hs_token, sender_localpart, registration,
       source, service.version::float8 AS version, settled
     FROM app_service_registry AS registry LEFT JOIN app_service AS service ON unregistered_at IS NULL
     ORDER BY created_at, service.id`,
  );
  return {
    version: rows[0]!.registry,
    services: rows.flatMap(({ id, ...row }) => (id === null ? [] : [serviceOf({ ...row, id })])),
  };
}

/** The version of all registrations, held until the transaction ends: nobody changes them meanwhile. */
export async function holdRegistry(connection: Connection): Promise<number> {
  const [row] = await query<{ version: number }>(
    connection,
    "SELECT version::float8 AS version FROM app_service_registry FOR SHARE",
  );
  return row!.version;
}

/**
 * Moves the version of all registrations on, and keeps everybody else from changing them, and from appending, until the
 * transaction ends. Whoever made something by the old ones has committed when this returns.
 */
export async function moveRegistry(connection: Connection): Promise<number> {
  await lockAppending(connection);
  const [row] = await query<{ version: number }>(
    connection,
    "UPDATE app_service_registry SET version = version + 1 RETURNING version::float8 AS version",
  );
  return row!.version;
}

/** Tells every process that registrations changed; sent when the transaction commits. */
export async function notifyRegistry(connection: Connection): Promise<void> {
  await query(connection, "SELECT pg_notify('hearth_services', '')::text");
}

/** The service that has this token or this id, registered or not; null for none. */
export async function findService(
  connection: Connection,
  by: { asTokenHash: Uint8Array<ArrayBuffer> } | { id: string },
): Promise<(AppServiceRow & { unregistered: boolean }) | null> {
  const row = await connection.appService.findUnique({ where: by });
  if (row === null) return null;
  const { version, source, unregisteredAt, ...rest } = row;
  return {
    ...rest,
    version: Number(version),
    source: source as RegistrationSource,
    unregistered: unregisteredAt !== null,
  };
}

/** Stores a registration, in place of the one with its id if there is one. */
export async function putService(
  connection: Connection,
  service: Omit<AppServiceRow, "settled"> & { url: string | null; asTokenHash: Uint8Array<ArrayBuffer> },
): Promise<void> {
  const { id, version, ...data } = service;
  const row = { ...data, version: BigInt(version), settled: false, unregisteredAt: null };
  await connection.appService.upsert({ where: { id }, create: { id, ...row }, update: row });
}

/**
 * Takes a token from whichever other service has it, so that this one may; the other's row stays, with a token that nobody
 * knows. Gives who had it, if anybody, and the id of the last transaction that was made for who shows the token.
 */
export async function takeToken(
  connection: Connection,
  asTokenHash: Uint8Array<ArrayBuffer>,
  id: string,
): Promise<{ id: string; lastTransaction: number } | null> {
  const [row] = await query<{ id: string; last: number }>(
    connection,
    `UPDATE app_service SET as_token_hash = sha256(convert_to(gen_random_uuid()::text, 'UTF8'))
     WHERE as_token_hash = $1 AND id <> $2
     RETURNING id, last_transaction::float8 AS last`,
    asTokenHash,
    id,
  );
  return row === undefined ? null : { id: row.id, lastTransaction: row.last };
}

/** Has the ids of a service's transactions begin behind one that it has seen already. */
export async function beginBehind(connection: Connection, id: string, transactionId: number): Promise<void> {
  await connection.appService.updateMany({
    where: { id, lastTransaction: { lt: transactionId } },
    data: { lastTransaction: transactionId },
  });
}

/**
 * Ends a registration, and forgets what it was interested in; what is on its way to it as well, unless it `mayReturn`:
 * then that waits for it. [AS-2]
 */
export async function endService(
  connection: Connection,
  id: string,
  { now, mayReturn }: { now: Date; mayReturn: boolean },
): Promise<void> {
  await connection.appService.update({
    where: { id },
    // Whoever sends for it has the old number, and writes nothing any more.
    data: {
      unregisteredAt: now,
      leaseProcess: null,
      leaseUntil: null,
      leaseNumber: { increment: 1 },
      state: "UP",
      failures: 0,
      lastError: null,
      retryAt: null,
      paused: false,
    },
  });
  const where = { where: { appServiceId: id } };

  if (!mayReturn) {
    await connection.appServiceQueue.deleteMany(where);
    await connection.appServiceTransaction.deleteMany(where);
  }
  await connection.appServiceUser.deleteMany(where);
  await connection.appServiceAlias.deleteMany(where);
  await connection.appServiceRoom.deleteMany(where);
}

/** What a service is interested in of a kind of ids, and what there is of it. */
export type InterestKind = "users" | "aliases" | "rooms";

/** A page of the ids that there are, after one of them, and whether the service has each of them. */
export async function interestPage(
  connection: Connection,
  kind: InterestKind,
  { serviceId, after, limit }: { serviceId: string; after: string; limit: number },
): Promise<{ id: string; interested: boolean }[]> {
  return query(connection, pages[kind], serviceId, after, limit);
}

const pages: Record<InterestKind, string> = {
  users: `SELECT user_id AS id, EXISTS (
      SELECT FROM app_service_user AS known WHERE known.app_service_id = $1 AND known.user_id = account.user_id) AS interested
    FROM account WHERE user_id > $2 ORDER BY user_id LIMIT $3::integer`,
  aliases: `SELECT alias AS id, EXISTS (
      SELECT FROM app_service_alias AS known WHERE known.app_service_id = $1 AND known.alias = room_alias.alias) AS interested
    FROM room_alias WHERE alias > $2 ORDER BY alias LIMIT $3::integer`,
  rooms: `SELECT room_id AS id, EXISTS (
      SELECT FROM app_service_room AS known
      WHERE known.app_service_id = $1 AND known.room_id = room.room_id AND known.named) AS interested
    FROM room WHERE room_id > $2 ORDER BY room_id LIMIT $3::integer`,
};

/** Ids whose interest changes. */
export interface InterestChange {
  add: string[];
  remove: string[];
}

/** Changes a service's interest as long as its registration is of this version; false where it isn't. */
export async function changeInterest(
  connection: Connection,
  { serviceId, version }: { serviceId: string; version: number },
  kind: InterestKind,
  change: InterestChange,
): Promise<boolean> {
  await lockAppending(connection);
  const held = await query(
    connection,
    "SELECT id FROM app_service WHERE id = $1 AND version = $2::bigint AND unregistered_at IS NULL",
    serviceId,
    version,
  );
  if (held.length === 0) return false;
  await query(connection, "SELECT change_interest($1, $2::jsonb)::text", serviceId, JSON.stringify({ [kind]: change }));
  return true;
}

/** Notes that all that there was has been gone through, for a registration of this version. */
export async function markSettled(connection: Connection, id: string, version: number): Promise<void> {
  await connection.appService.updateMany({ where: { id, version: BigInt(version) }, data: { settled: true } });
}

/** Notes the services that a new user is of interest to. */
export async function addInterestedIn(
  connection: Connection,
  userId: string,
  serviceIds: readonly string[],
): Promise<void> {
  if (serviceIds.length === 0) return;
  const data = serviceIds.map((appServiceId) => ({ appServiceId, userId }));
  await connection.appServiceUser.createMany({ data, skipDuplicates: true });
}

/** Which of these rooms a service is told of. */
export async function interestingRooms(
  connection: Connection,
  serviceId: string,
  roomIds: readonly string[],
): Promise<string[]> {
  const rows = await query<{ room_id: string }>(
    connection,
    `SELECT room_id FROM app_service_room
     WHERE room_id = ANY ($2::text[]) AND app_service_id = $1 AND (reasons > 0 OR named)`,
    serviceId,
    roomIds,
  );
  return rows.map((row) => row.room_id);
}

/** Whether any service is told of what happens in a room. */
export async function isBridged(connection: Connection, roomId: string): Promise<boolean> {
  const rows = await query(
    connection,
    "SELECT room_id FROM app_service_room WHERE room_id = $1 AND (reasons > 0 OR named) LIMIT 1",
    roomId,
  );
  return rows.length > 0;
}

interface RawService {
  as_token_hash: Uint8Array;
  hs_token: string;
  sender_localpart: string;
  registration: string;
  source: RegistrationSource;
  version: number;
  settled: boolean;
}

function serviceOf(row: RawService & { id: string }): AppServiceRow {
  return {
    id: row.id,
    asTokenHash: row.as_token_hash,
    hsToken: row.hs_token,
    senderLocalpart: row.sender_localpart,
    registration: row.registration,
    source: row.source,
    version: row.version,
    settled: row.settled,
  };
}
