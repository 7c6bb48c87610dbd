import { query, type Connection } from "./database.ts";

/** What is left to a key after an attempt, or why there was none left for it. */
export interface AttemptRow {
  taken: boolean;
  fullAt: Date;
  known: boolean;
}

/** By when the whole allowance is there: now at the latest, and no longer ahead than a clock may be that was put right. */
const fullAt = "CASE WHEN held.full_at BETWEEN $2 AND $2 + interval '1 hour' THEN held.full_at ELSE $2 END";

/**
 * Takes one attempt of those that a key has, in one statement, so that of many that come at once at any process no more than
 * are left get one. `stepMs`: after so long one more is there; `windowMs`: after so long all are.
 */
export async function takeAttempt(
  connection: Connection,
  key: string,
  { now, stepMs, windowMs }: { now: Date; stepMs: number; windowMs: number },
): Promise<AttemptRow> {
  const rows = await query<{ taken: boolean; full_at: Date; known: boolean | null }>(
    connection,
    `WITH taken AS (
       INSERT INTO attempt AS held (key, full_at) VALUES ($1, $2::timestamptz + $3::float8 * interval '1 millisecond')
       ON CONFLICT (key) DO UPDATE SET full_at = ${fullAt} + $3::float8 * interval '1 millisecond'
         WHERE ${fullAt} + ($3::float8 - $4::float8) * interval '1 millisecond' <= $2
       RETURNING full_at, known_until > $2 AS known
     )
     SELECT true AS taken, full_at, known FROM taken
     UNION ALL
     SELECT false, full_at, known_until > $2 FROM attempt WHERE key = $1 AND NOT EXISTS (SELECT FROM taken)`,
    key,
    now,
    stepMs,
    windowMs,
  );
  const [row] = rows;
  // Nothing is seen of what somebody else inserted at the same moment and took all of.
  if (row === undefined) return { taken: false, fullAt: new Date(now.getTime() + windowMs), known: false };
  return { taken: row.taken, fullAt: row.full_at, known: row.known ?? false };
}

/** Gives all attempts back to a key, and notes until when it is known. */
export async function noteKnown(connection: Connection, key: string, now: Date, knownUntil: Date): Promise<void> {
  await query(
    connection,
    `INSERT INTO attempt (key, full_at, known_until) VALUES ($1, $2, $3)
     ON CONFLICT (key) DO UPDATE SET full_at = excluded.full_at, known_until = excluded.known_until`,
    key,
    now,
    knownUntil,
  );
}

/** Gives all attempts back to a key. */
export async function forgetAttempts(connection: Connection, key: string): Promise<void> {
  await query(connection, "DELETE FROM attempt WHERE key = $1", key);
}

/** Forgets the keys to which nothing is missing. */
export async function forgetOldAttempts(connection: Connection, now: Date): Promise<void> {
  await query(connection, "DELETE FROM attempt WHERE full_at < $1 AND (known_until IS NULL OR known_until < $1)", now);
}
