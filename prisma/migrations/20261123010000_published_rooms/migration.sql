-- The directory of published rooms, and the snapshots of it that pages are read from. [DIR-1 to DIR-4]
-- See docs/decisions/0012-published-rooms.md.

-- What of a room the directory shows and finds. It follows `room.published` and the room's state by the triggers below.
CREATE TABLE published_room (
  id integer GENERATED ALWAYS AS IDENTITY,
  room_id text COLLATE "C" NOT NULL,
  name text COLLATE "C",
  topic text COLLATE "C",
  avatar text COLLATE "C",
  aliases text[] COLLATE "C" NOT NULL DEFAULT '{}',
  search_text text COLLATE "C" NOT NULL DEFAULT '',
  CONSTRAINT published_room_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX published_room_room_id_key ON published_room (room_id);

-- What moves with every join is apart, so that a join doesn't touch the index of texts. The text is here once more, as
-- bytes and not compressed: so the index has all that a search looks at, in the order of its answer.
CREATE TABLE published_rank (
  id integer NOT NULL,
  members integer NOT NULL,
  search_bytes bytea NOT NULL DEFAULT '',
  CONSTRAINT published_rank_pkey PRIMARY KEY (id)
);
ALTER TABLE published_rank ALTER COLUMN search_bytes SET STORAGE PLAIN;
CREATE INDEX published_rank_order ON published_rank (members DESC, id) INCLUDE (search_bytes);

-- Moves when a room is published or not any more, or what is told of a published one changes; one row.
CREATE TABLE published_directory (
  one boolean NOT NULL DEFAULT true CHECK (one),
  version bigint NOT NULL DEFAULT 0,
  CONSTRAINT published_directory_pkey PRIMARY KEY (one)
);

-- Nothing has used it yet. A crash of the database empties it: then searches begin anew.
DROP TABLE published_snapshot;
CREATE UNLOGGED TABLE published_snapshot (
  id text COLLATE "C" NOT NULL,
  search text COLLATE "C" NOT NULL,
  slot bigint NOT NULL,
  version bigint NOT NULL,
  taken_by text COLLATE "C" NOT NULL,
  total integer NOT NULL,
  room_ids integer[] NOT NULL,
  expires_at timestamptz(3) NOT NULL,
  CONSTRAINT published_snapshot_pkey PRIMARY KEY (id)
);
-- Compressing hundreds of kilobytes takes longer than writing them.
ALTER TABLE published_snapshot ALTER COLUMN room_ids SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX published_snapshot_search_slot_version_key ON published_snapshot (search, slot, version);

-- Text as searches compare it: in any case, however its characters are composed, and with single spaces. By Unicode's
-- tables, since the database's locale may be C, as that of hearth's own PostgreSQL is, which knows the case of ASCII alone.
-- Of the beginning alone: the marks upon one letter are put in order in the square of their number, which for the 28,000
-- that an event may hold is seconds under the append lock.
DO $do$
DECLARE
  utf8 boolean := getdatabaseencoding() = 'UTF8';
  folding text;
BEGIN
  SELECT quote_ident(collname) INTO folding FROM pg_collation
  WHERE collnamespace = 'pg_catalog'::regnamespace AND collname IN ('pg_c_utf8', 'und-x-icu')
    AND collencoding IN (-1, pg_char_to_encoding('UTF8')) AND utf8
  ORDER BY collname LIMIT 1;
  EXECUTE format($create$
    CREATE FUNCTION directory_text(given text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
      SELECT btrim(regexp_replace(translate(lower(%s COLLATE %s), 'ς', 'σ'), '[[:space:]]+', ' ', 'g'))
    $$ $create$, CASE WHEN utf8 THEN 'normalize(left(given, 1000), NFKC)' ELSE 'left(given, 1000)' END, coalesce(folding, '"default"'));
END $do$;

-- All pairs and triples of characters that follow each other in a text: what the index knows it by.
CREATE FUNCTION directory_grams(given text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(array_agg(DISTINCT gram COLLATE "C"), '{}')
  FROM (
    SELECT unnest(ARRAY[one || lead(one) OVER following, one || lead(one) OVER following || lead(one, 2) OVER following])
      AS gram
    FROM unnest(string_to_array(given, NULL)) WITH ORDINALITY AS listed(one, n)
    WINDOW following AS (ORDER BY n)
  ) AS made WHERE gram IS NOT NULL
$$;

CREATE FUNCTION directory_changed() RETURNS void LANGUAGE sql AS $$
  UPDATE published_directory SET version = version + 1 WHERE one
$$;

-- Writes anew what the directory tells of a room, if it is published, by the room's state.
CREATE FUNCTION refresh_published(in_room text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  listed integer := (SELECT id FROM published_room WHERE room_id = in_room);
  told record;
  searched text;
BEGIN
  IF listed IS NULL THEN
    RETURN;
  END IF;

  SELECT max(value #>> '{}') FILTER (WHERE type = 'm.room.name') AS name,
    max(value #>> '{}') FILTER (WHERE type = 'm.room.topic') AS topic,
    max(value #>> '{}') FILTER (WHERE type = 'm.room.avatar') AS avatar,
    coalesce(array_agg(value #>> '{}' ORDER BY n) FILTER (WHERE type = 'm.room.aliases'), '{}') AS aliases
  INTO told
  FROM (VALUES
    ('m.room.name', '_', 'name'), ('m.room.topic', '_', 'topic'), ('m.room.avatar', '_', 'url'),
    ('m.room.aliases', (SELECT setting.value FROM server_setting AS setting WHERE name = 'server_name'), 'aliases')
  ) AS wanted(type, state_key, key)
  CROSS JOIN LATERAL (
    SELECT event_id FROM current_state
    WHERE room_id = in_room AND current_state.type = wanted.type AND current_state.state_key = wanted.state_key LIMIT 1
  ) AS slot
  CROSS JOIN LATERAL (SELECT content::jsonb AS content FROM event WHERE event_id = slot.event_id LIMIT 1) AS set
  CROSS JOIN LATERAL jsonb_array_elements(
    CASE WHEN (jsonb_typeof(set.content -> key) = 'array') = (key = 'aliases')
      THEN CASE key WHEN 'aliases' THEN set.content -> key ELSE jsonb_build_array(set.content -> key) END
      ELSE '[]' END
  ) WITH ORDINALITY AS held(value, n)
  WHERE jsonb_typeof(value) = 'string' AND value <> '""';

  -- The beginning alone, since each character costs time under the append lock; of long names and many aliases as little
  -- as leaves room for the topic.
  searched := left(concat_ws(E'\n', left(directory_text(told.name), 255),
    left((SELECT string_agg(directory_text(alias), E'\n') FROM unnest(told.aliases) AS alias), 255),
    directory_text(told.topic)), 1000);

  UPDATE published_room
  SET name = told.name, topic = told.topic, avatar = told.avatar, aliases = told.aliases, search_text = searched
  WHERE id = listed AND (name, topic, avatar, aliases) IS DISTINCT FROM (told.name, told.topic, told.avatar, told.aliases);
  IF FOUND THEN
    -- No entry of an index takes more.
    UPDATE published_rank SET search_bytes = substring(convert_to(searched, 'UTF8') FOR 2560) WHERE id = listed;
    PERFORM directory_changed();
  END IF;
END $$;

CREATE FUNCTION publish_or_not() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.published THEN
    WITH listed AS (INSERT INTO published_room (room_id) VALUES (NEW.room_id) RETURNING id)
    INSERT INTO published_rank (id, members)
    SELECT id, (SELECT count(*) FROM member WHERE room_id = NEW.room_id AND membership = 'join') FROM listed;
    PERFORM refresh_published(NEW.room_id);
  ELSE
    WITH gone AS (DELETE FROM published_room WHERE room_id = NEW.room_id RETURNING id)
    DELETE FROM published_rank WHERE id = (SELECT id FROM gone);
  END IF;
  PERFORM directory_changed();
  RETURN NULL;
END $$;
CREATE TRIGGER room_made_published AFTER INSERT ON room
  FOR EACH ROW WHEN (NEW.published) EXECUTE FUNCTION publish_or_not();
CREATE TRIGGER room_published AFTER UPDATE OF published ON room
  FOR EACH ROW WHEN (NEW.published <> OLD.published) EXECUTE FUNCTION publish_or_not();

-- Whoever sets such state, redacts or rejects it: what is told of the room goes with it, in the same transaction. What
-- leaves the content as it is may be done without the append lock, and so must not write here what was read before.
CREATE FUNCTION published_state_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM refresh_published(NEW.room_id);
  RETURN NULL;
END $$;
CREATE TRIGGER published_state AFTER INSERT OR UPDATE ON current_state
  FOR EACH ROW WHEN (NEW.type IN ('m.room.name', 'm.room.topic', 'm.room.avatar', 'm.room.aliases'))
  EXECUTE FUNCTION published_state_changed();
CREATE TRIGGER published_content AFTER UPDATE OF content ON event
  FOR EACH ROW WHEN (NEW.state_key IS NOT NULL AND NEW.content IS DISTINCT FROM OLD.content
    AND NEW.type IN ('m.room.name', 'm.room.topic', 'm.room.avatar', 'm.room.aliases'))
  EXECUTE FUNCTION published_state_changed();

CREATE FUNCTION published_members_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  joined boolean := TG_OP <> 'DELETE' AND NEW.membership = 'join';
  listed integer := (SELECT id FROM published_room WHERE room_id = CASE WHEN joined THEN NEW.room_id ELSE OLD.room_id END);
BEGIN
  IF listed IS NOT NULL THEN
    UPDATE published_rank SET members = members + CASE WHEN joined THEN 1 ELSE -1 END WHERE id = listed;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER published_member_new AFTER INSERT ON member
  FOR EACH ROW WHEN (NEW.membership = 'join') EXECUTE FUNCTION published_members_changed();
CREATE TRIGGER published_member_changed AFTER UPDATE OF membership ON member
  FOR EACH ROW WHEN ((NEW.membership = 'join') <> (OLD.membership = 'join')) EXECUTE FUNCTION published_members_changed();
CREATE TRIGGER published_member_gone AFTER DELETE ON member
  FOR EACH ROW WHEN (OLD.membership = 'join') EXECUTE FUNCTION published_members_changed();

-- Publishes a room or takes it back, if it is there and its version is still the one that this was allowed on. False when
-- it isn't. Under the append lock, so that no state that is being appended is missed.
CREATE FUNCTION set_published(in_room text, wanted boolean, allowed_on bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM append_lock();
  IF NOT EXISTS (
    SELECT FROM room WHERE room_id = in_room AND auth_version = allowed_on AND deleted_at IS NULL
  ) THEN
    RETURN false;
  END IF;
  UPDATE room SET published = wanted WHERE room_id = in_room AND published <> wanted;
  RETURN true;
END $$;

-- The published rooms in which a text occurs, as `directory_text` gives it: those with most members first.
-- One that occurs in few rooms is found by the index of grams; one that occurs in many, as a sample says, or is too short
-- for grams, by going through all texts in the order of the answer.
CREATE FUNCTION find_published(wanted text) RETURNS integer[] LANGUAGE plpgsql
SET enable_bitmapscan = on AS $$
DECLARE
  pattern bytea := convert_to('%' || replace(replace(replace(wanted, '\', '\\'), '%', '\%'), '_', '\_') || '%', 'UTF8');
  grams text[];
  newest integer;
  frequent boolean := true;
BEGIN
  IF wanted = '' THEN
    RETURN ARRAY(SELECT id FROM published_rank ORDER BY members DESC, id);
  END IF;

  SELECT id INTO newest FROM published_room ORDER BY id DESC LIMIT 1;
  IF newest > 2000 AND length(wanted) > 1 THEN
    -- Ids far from each other, the same ones each time: rooms that were made together are often alike.
    SELECT count(*) FILTER (WHERE strpos(sampled.search_text, wanted) > 0) * 12 > count(*) INTO frequent
    FROM generate_series(1, 400) AS n
    CROSS JOIN LATERAL (
      SELECT search_text FROM published_room WHERE id = 1 + (n * 2654435761) % newest LIMIT 1
    ) AS sampled;
  END IF;

  IF frequent THEN
    RETURN ARRAY(SELECT id FROM published_rank WHERE search_bytes LIKE pattern ORDER BY members DESC, id);
  ELSE
    -- Of a text of three characters or more its triples; a few of them tell enough.
    grams := ARRAY(
      SELECT gram FROM unnest(directory_grams(wanted)) AS gram WHERE length(gram) = least(length(wanted), 3) LIMIT 16);
    RETURN ARRAY(
      SELECT rank.id FROM published_room
      CROSS JOIN LATERAL (SELECT * FROM published_rank WHERE published_rank.id = published_room.id LIMIT 1) AS rank
      WHERE directory_grams(published_room.search_text) @> grams AND rank.search_bytes LIKE pattern
      ORDER BY rank.members DESC, rank.id);
  END IF;
END $$;

-- The snapshot of what a search finds now: one that was taken in the same slot of time, if nothing was published or renamed
-- since, else a new one. Whoever asks the same at the same time waits for the first. Gives its id. [DIR-3]
-- Those that are over go, and so do a user's oldest beyond 50, and the oldest of all beyond 20,000,000 listed rooms.
CREATE FUNCTION take_published_snapshot(
  new_id text, asked text, in_slot bigint, taker text, taken_at timestamptz, lasts_until timestamptz
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  -- Few characters become several by being decomposed; an index takes no text of any length.
  wanted text := left(directory_text(asked), 255);
  known text;
  matches integer[];
  at_version bigint;
BEGIN
  SELECT id INTO known FROM published_snapshot
  WHERE search = wanted AND slot = in_slot AND version = (SELECT version FROM published_directory);
  IF known IS NOT NULL THEN
    RETURN known;
  END IF;

  PERFORM pg_advisory_xact_lock(4771893, hashtext(wanted));
  SELECT version INTO at_version FROM published_directory;
  SELECT id INTO known FROM published_snapshot WHERE search = wanted AND slot = in_slot AND version = at_version;
  IF known IS NOT NULL THEN
    RETURN known;
  END IF;

  matches := find_published(wanted);
  INSERT INTO published_snapshot (id, search, slot, version, taken_by, total, room_ids, expires_at)
  VALUES (new_id, wanted, in_slot, at_version, taker, cardinality(matches), matches, lasts_until);

  DELETE FROM published_snapshot WHERE id IN (
    SELECT id FROM published_snapshot WHERE id IN (
      SELECT id FROM (
        SELECT id, expires_at, row_number() OVER (PARTITION BY taken_by ORDER BY expires_at DESC, id) AS own,
          sum(greatest(total, 1000)) OVER (ORDER BY expires_at DESC, id) AS listed
        FROM published_snapshot WHERE id <> new_id
      ) AS kept WHERE expires_at <= taken_at OR own >= 50 OR listed > 20000000
    ) FOR UPDATE SKIP LOCKED
  );
  RETURN new_id;
END $$;

-- What was published before there was a directory.
DO $$
BEGIN
  WITH listed AS (
    INSERT INTO published_room (room_id) SELECT room_id FROM room WHERE published ORDER BY created_at RETURNING id, room_id
  )
  INSERT INTO published_rank (id, members)
  SELECT id, (SELECT count(*) FROM member WHERE member.room_id = listed.room_id AND membership = 'join') FROM listed;
  PERFORM refresh_published(room_id) FROM published_room;
END $$;

INSERT INTO published_directory DEFAULT VALUES;

-- Without a list of pending entries: whoever met its end would have to merge all of them under the append lock.
CREATE INDEX published_room_grams ON published_room USING gin (directory_grams(search_text)) WITH (fastupdate = off);
