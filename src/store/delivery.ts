import type { DeliveryStanding, DeliveryState } from "../model/appService.ts";
import { query, type Connection } from "./database.ts";

/** The right to send to a service: every write carries the number, which grows with each new holder. [AS-5] */
export interface Lease {
  serviceId: string;
  number: number;
}

/** How delivery went until the lease was taken. */
export interface LeaseTaken extends Lease {
  state: DeliveryState;
  failures: number;
  /** Milliseconds since the epoch. */
  retryAt: number | null;
}

/** A transaction as it is sent: the same bytes however often. */
export interface SavedTransaction {
  transactionId: number;
  body: string;
}

/** Takes the leases that nobody holds, of services that can be called and aren't paused. */
export async function takeLeases(connection: Connection, processId: string, leaseMs: number): Promise<LeaseTaken[]> {
  const rows = await query<{
    id: string;
    number: number;
    state: DeliveryState;
    failures: number;
    retry_at: Date | null;
  }>(
    connection,
    `UPDATE app_service SET lease_process = $1, lease_until = now() + make_interval(secs => $2::float8 / 1000),
       lease_number = lease_number + 1
     WHERE unregistered_at IS NULL AND url IS NOT NULL AND (lease_until IS NULL OR lease_until < now())
     RETURNING id, lease_number::float8 AS number, state, failures, retry_at`,
    processId,
    leaseMs,
  );
  return rows.map(({ id, number, state, failures, retry_at }) => ({
    ...{ serviceId: id, number, state, failures },
    retryAt: retry_at?.getTime() ?? null,
  }));
}

/** Holds on to leases; gives those that still are the process's. */
export async function renewLeases(connection: Connection, processId: string, leaseMs: number): Promise<Lease[]> {
  const rows = await query<{ id: string; number: number }>(
    connection,
    `UPDATE app_service SET lease_until = now() + make_interval(secs => $2::float8 / 1000)
     WHERE lease_process = $1 AND lease_until >= now() AND unregistered_at IS NULL AND url IS NOT NULL
     RETURNING id, lease_number::float8 AS number`,
    processId,
    leaseMs,
  );
  return rows.map(({ id, number }) => ({ serviceId: id, number }));
}

/** Lets others have the process's leases at once. */
export async function releaseLeases(connection: Connection, processId: string): Promise<void> {
  await query(
    connection,
    "UPDATE app_service SET lease_process = NULL, lease_until = NULL WHERE lease_process = $1 RETURNING id",
    processId,
  );
}

/** The oldest transaction behind one that is on its way, null for none; and whether the service is paused. */
export async function oldestTransaction(
  connection: Connection,
  { serviceId }: Lease,
  after: number,
): Promise<{ paused: boolean; saved: SavedTransaction | null }> {
  const [row] = await query<{ paused: boolean; id: number | null; body: string | null }>(
    connection,
    `SELECT paused, transaction_id::float8 AS id, body FROM app_service AS service
     LEFT JOIN app_service_transaction AS saved ON saved.app_service_id = service.id AND transaction_id > $2::bigint
     WHERE service.id = $1 ORDER BY transaction_id LIMIT 1`,
    serviceId,
    after,
  );
  const { paused = true, id = null, body = null } = row ?? {};
  return { paused, saved: id === null || body === null ? null : { transactionId: id, body } };
}

/** The first positions of a queue, in stream order; none while the service is paused. */
export async function queuedPositions(
  connection: Connection,
  { serviceId }: Lease,
  limit: number,
): Promise<{ position: number; queuedAt: Date }[]> {
  const rows = await query<{ position: number; queued_at: Date }>(
    connection,
    `SELECT position::float8 AS position, queued_at FROM app_service_queue
     WHERE app_service_id = $1 AND (SELECT NOT paused FROM app_service WHERE id = $1)
     ORDER BY position LIMIT $2::integer`,
    serviceId,
    limit,
  );
  return rows.map(({ position, queued_at }) => ({ position, queuedAt: queued_at }));
}

/**
 * Saves a transaction in place of the queue's first positions, or without a body only forgets those; gives the
 * transaction's id. Null where the lease is lost or the service is paused: nothing has changed then.
 */
export async function saveTransaction(
  connection: Connection,
  { serviceId, number }: Lease,
  content: { positions: readonly number[]; body: string | null; events: number; oldestAt: Date },
): Promise<number | null> {
  const [row] = await query<{ id: number }>(
    connection,
    `WITH held AS (
       UPDATE app_service SET last_transaction = last_transaction + CASE WHEN $4::text IS NULL THEN 0 ELSE 1 END
       WHERE id = $1 AND lease_number = $2::bigint AND NOT paused AND unregistered_at IS NULL RETURNING last_transaction
     ), gone AS (
       DELETE FROM app_service_queue
       WHERE app_service_id = $1 AND position = ANY ($3::bigint[]) AND EXISTS (SELECT FROM held)
     ), saved AS (
       INSERT INTO app_service_transaction (app_service_id, transaction_id, body, events, oldest_at)
       SELECT $1, last_transaction, $4, $5::integer, $6 FROM held WHERE $4::text IS NOT NULL
     )
     SELECT last_transaction::float8 AS id FROM held`,
    serviceId,
    number,
    content.positions,
    content.body,
    content.events,
    content.oldestAt,
  );
  return row?.id ?? null;
}

/** Forgets a transaction that was delivered; false where the lease is lost. */
export async function forgetTransaction(
  connection: Connection,
  { serviceId, number }: Lease,
  transactionId: number,
): Promise<boolean> {
  const rows = await query(
    connection,
    `WITH held AS (SELECT id FROM app_service WHERE id = $1 AND lease_number = $2::bigint), gone AS (
       DELETE FROM app_service_transaction
       WHERE app_service_id = $1 AND transaction_id = $3::bigint AND EXISTS (SELECT FROM held)
     ) SELECT id FROM held`,
    serviceId,
    number,
    transactionId,
  );
  return rows.length > 0;
}

/** Notes how delivery goes; without a lease nothing is written. */
export async function noteDelivery(
  connection: Connection,
  { serviceId, number }: Lease,
  delivery: { state: string; failures: number; retryAt: number | null; lastError?: string | null },
): Promise<void> {
  const { state, failures, retryAt, lastError } = delivery;
  await connection.appService.updateMany({
    where: { id: serviceId, leaseNumber: BigInt(number) },
    data: {
      ...{ state, failures, retryAt: retryAt === null ? null : new Date(retryAt) },
      ...(lastError === undefined ? {} : { lastError }),
    },
  });
}

/** How the delivery to each registered service stands; one statement. */
export async function readQueues(connection: Connection): Promise<DeliveryStanding[]> {
  const rows = await query<{
    id: string;
    state: DeliveryState;
    paused: boolean;
    failures: number;
    last_error: string | null;
    retry_at: Date | null;
    depth: number;
    oldest_at: Date | null;
  }>(
    connection,
    `SELECT service.id, state, paused, failures, last_error, retry_at,
       (coalesce(queued.depth, 0) + coalesce(saved.depth, 0))::integer AS depth, least(queued.oldest_at, saved.oldest_at) AS oldest_at
     FROM app_service AS service
     CROSS JOIN LATERAL (
       SELECT count(*) AS depth, min(queued_at) AS oldest_at FROM app_service_queue WHERE app_service_id = service.id
     ) AS queued
     CROSS JOIN LATERAL (
       SELECT sum(events) AS depth, min(oldest_at) AS oldest_at FROM app_service_transaction WHERE app_service_id = service.id
     ) AS saved
     WHERE unregistered_at IS NULL ORDER BY service.created_at, service.id`,
  );
  return rows.map((row) => ({
    ...{ serviceId: row.id, state: row.state, paused: row.paused, failures: row.failures, lastError: row.last_error },
    ...{ retryAt: row.retry_at, depth: row.depth, oldestAt: row.oldest_at },
  }));
}

/** Pauses or resumes a service; false where there is none. */
export async function setPaused(connection: Connection, serviceId: string, paused: boolean): Promise<boolean> {
  const { count } = await connection.appService.updateMany({
    where: { id: serviceId, unregisteredAt: null },
    data: { paused },
  });
  return count === 1;
}

/** Forgets the oldest transaction of a service without delivering it; gives how many events it had, 0 for none. */
export async function skipTransaction(connection: Connection, serviceId: string): Promise<number> {
  const [row] = await query<{ events: number }>(
    connection,
    `DELETE FROM app_service_transaction WHERE app_service_id = $1 AND transaction_id = (
       SELECT min(transaction_id) FROM app_service_transaction WHERE app_service_id = $1) RETURNING events`,
    serviceId,
  );
  return row?.events ?? 0;
}

/** Tells every process to look at the delivery to a service at once; sent when the transaction commits. */
export async function notifyDelivery(connection: Connection, serviceId: string): Promise<void> {
  await query(connection, "SELECT pg_notify('hearth_services', $1)::text", serviceId);
}
