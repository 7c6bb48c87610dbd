import { query, type Connection } from "./database.ts";

/** The right to review, and from where on. The number proves it: it grows whenever the right goes to somebody else. */
export interface ReviewTurn {
  /** Everything up to here has been reviewed. */
  position: number;
  number: number;
}

/** Makes the one row that says how far the stream was reviewed, where it is missing: from now on. */
export async function beginReview(connection: Connection): Promise<void> {
  await query(
    connection,
    `INSERT INTO policy_review (id, position)
     SELECT 1, stream_head() WHERE NOT EXISTS (SELECT FROM policy_review) ON CONFLICT DO NOTHING`,
  );
}

/** Takes the turn, or keeps it for another `leaseMs`; null while another process has it. By the database's clock. */
export async function takeReview(connection: Connection, process: string, leaseMs: number): Promise<ReviewTurn | null> {
  const [row] = await query<ReviewTurn>(
    connection,
    `UPDATE policy_review SET lease_process = $1, lease_until = now() + $2::float8 * interval '1 millisecond',
       lease_number = lease_number + CASE WHEN lease_process = $1 THEN 0 ELSE 1 END
     WHERE lease_process IS NULL OR lease_process = $1 OR lease_until < now()
     RETURNING position::float8 AS position, lease_number::float8 AS number`,
    process,
    leaseMs,
  );
  return row ?? null;
}

/** Keeps the turn for another `leaseMs`, and notes how far the review has come; false when it went to somebody else. */
export async function keepReview(
  connection: Connection,
  process: string,
  turn: ReviewTurn,
  leaseMs: number,
): Promise<boolean> {
  const rows = await query(
    connection,
    `UPDATE policy_review SET position = $3::bigint, lease_until = now() + $4::float8 * interval '1 millisecond'
     WHERE lease_process = $1 AND lease_number = $2::bigint RETURNING id`,
    process,
    turn.number,
    turn.position,
    leaseMs,
  );
  return rows.length === 1;
}

/** Gives the turn up, so that nobody has to wait until it lapses. */
export async function leaveReview(connection: Connection, process: string): Promise<void> {
  await query(
    connection,
    "UPDATE policy_review SET lease_process = NULL, lease_until = NULL WHERE lease_process = $1",
    process,
  );
}
