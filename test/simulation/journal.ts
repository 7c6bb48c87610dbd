import type { World } from "./world.ts";

/**
 * Triggers that write down, in the order of the append lock, what the tables forget: what an event said when it was made,
 * when one was rejected, and every move of a marker. By it the checks judge from outside, without the code's own memory.
 */
export const journalSql = `
  CREATE SEQUENCE journal;
  CREATE TABLE made (event_id text PRIMARY KEY, seq bigint NOT NULL DEFAULT nextval('journal'), content text);
  CREATE TABLE rejected (event_id text PRIMARY KEY, seq bigint NOT NULL DEFAULT nextval('journal'));
  CREATE TABLE moved (seq bigint PRIMARY KEY DEFAULT nextval('journal'), move_id text, room_id text, user_id text,
    kind text, private boolean, marked_id text, major bigint, minor bytea, position bigint);
  CREATE INDEX ON moved (room_id);
  CREATE FUNCTION note_made() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO made (event_id, content) VALUES (NEW.event_id, NEW.content); RETURN NULL;
  END $$;
  CREATE FUNCTION note_rejected() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO rejected (event_id) VALUES (NEW.event_id); RETURN NULL;
  END $$;
  CREATE FUNCTION note_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO moved (move_id, room_id, user_id, kind, private, marked_id, major, minor, position)
    VALUES (NEW.move_id, NEW.room_id, NEW.user_id, NEW.kind, NEW.private, NEW.event_id, NEW.major, NEW.minor, NEW.position);
    RETURN NULL;
  END $$;
  CREATE TRIGGER note_made AFTER INSERT ON event FOR EACH ROW EXECUTE FUNCTION note_made();
  CREATE TRIGGER note_rejected AFTER UPDATE OF in_force ON event FOR EACH ROW
    WHEN (OLD.in_force AND NOT NEW.in_force) EXECUTE FUNCTION note_rejected();
  CREATE TRIGGER note_moved AFTER INSERT OR UPDATE ON marker FOR EACH ROW EXECUTE FUNCTION note_moved();`;

/** An event as the database holds it, with what it was made as. */
export interface HeldEvent {
  seq: number;
  position: number;
  id: string;
  room: string;
  major: number;
  /** Hexadecimal. */
  minor: string;
  type: string;
  key: string | null;
  sender: string;
  /** Its content when it was made; null for deletions. */
  made: string | null;
  content: string | null;
  redacted: boolean;
  updates: string | null;
  insertedAfter: string | null;
  replaces: string | null;
}

export interface HeldMove {
  seq: number;
  position: number;
  id: string;
  room: string;
  user: string;
  kind: string;
  private: boolean;
  marked: string;
  major: number;
  minor: string;
}

/** All that happened in the rooms that some users made. */
export interface Journal {
  /** In stream order. */
  events: HeldEvent[];
  /** By id. */
  byId: Map<string, HeldEvent>;
  /** State events that lost their force, with the moment. In that order. */
  rejected: Map<string, number>;
  /** In stream order. */
  moves: HeldMove[];
  /** The newest position. */
  last: number;
}

export async function readJournal(world: World, userIds: readonly string[]): Promise<Journal> {
  const [row] = await world.query<{
    events: HeldEvent[];
    rejected: { id: string; seq: number }[] | null;
    moves: HeldMove[] | null;
  }>(
    `WITH room AS MATERIALIZED (SELECT room_id FROM room WHERE creator = ANY ($1)),
     held AS MATERIALIZED (
       SELECT seq, position, event_id AS id, room_id AS room, major, encode(minor, 'hex') AS minor, type, state_key AS key,
         sender, made.content AS made, event.content, redacted_by_id IS NOT NULL AS redacted, updates_id AS updates,
         inserted_after_id AS "insertedAfter", replaces_id AS replaces
       FROM room JOIN event USING (room_id) JOIN made USING (event_id))
     SELECT (SELECT json_agg(held ORDER BY position) FROM held) AS events,
       (SELECT json_agg(json_build_object('id', held.id, 'seq', rejected.seq) ORDER BY rejected.seq)
        FROM held JOIN rejected ON rejected.event_id = held.id) AS rejected,
       (SELECT json_agg(json_build_object('seq', seq, 'position', position, 'id', move_id, 'room', room_id, 'user', user_id,
          'kind', kind, 'private', private, 'marked', marked_id, 'major', major, 'minor', encode(minor, 'hex')) ORDER BY position)
        FROM room JOIN moved USING (room_id)) AS moves`,
    [userIds],
  );
  const { events, rejected, moves } = row!;
  return {
    events,
    byId: new Map(events.map((event) => [event.id, event])),
    rejected: new Map((rejected ?? []).map(({ id, seq }) => [id, seq])),
    moves: moves ?? [],
    last: Math.max(events.at(-1)!.position, moves?.at(-1)?.position ?? 0),
  };
}

/** Negative when `one` stands before `other` in their room. */
export function inOrder(one: { major: number; minor: string }, other: { major: number; minor: string }): number {
  return one.major - other.major || (one.minor < other.minor ? -1 : one.minor > other.minor ? 1 : 0);
}

/** The membership that an event set when it was made; empty where it set none. */
export function membershipMade({ made }: HeldEvent): string {
  return made === null ? "" : ((JSON.parse(made) as { membership?: string }).membership ?? "");
}
