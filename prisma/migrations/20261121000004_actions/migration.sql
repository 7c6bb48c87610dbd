-- What the actions of part 3 need: markers that move in place, rejections, rooms that an admin deleted.

-- Of a marker's present place: the event that the stream carries for it, and what its device asked for. [ACT-11, ACT-15]
ALTER TABLE marker ADD COLUMN move_id text COLLATE "C" NOT NULL;
ALTER TABLE marker ADD COLUMN suppressed boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX marker_move_id_key ON marker (move_id);
CREATE INDEX marker_room_id_position_idx ON marker (room_id, position);

-- What counts for who may see what, where the event that began the period was rejected. [EVS-7]
ALTER TABLE membership_period ADD COLUMN effective text COLLATE "C";
ALTER TABLE visibility_period ADD COLUMN effective text COLLATE "C";

ALTER TABLE room ADD COLUMN deleted_at timestamptz(3);
CREATE INDEX room_deleted ON room (room_id) WHERE deleted_at IS NOT NULL;

-- Closes a room for good: it is there for nobody any more, and its aliases are free. Under the append lock, and with a new
-- version, so that whatever was authorised before is stale. Closing it again changes nothing. False when there is none.
CREATE FUNCTION close_room(in_room text, closed_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM append_lock();
  UPDATE room SET deleted_at = coalesce(deleted_at, closed_at), published = false,
    auth_version = auth_version + CASE WHEN deleted_at IS NULL THEN 1 ELSE 0 END
  WHERE room_id = in_room;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  DELETE FROM room_alias WHERE room_id = in_room;
  RETURN true;
END $$;

-- Of what restores state after a rejection: the event whose content it took. When that is rejected in turn, so is this.
ALTER TABLE event ADD COLUMN restores_id text COLLATE "C";

CREATE INDEX marker_room_id_kind_user_id_idx ON marker (room_id, kind, user_id);

-- Who acted, where the server is the sender of what they brought about. [EVS-8, ACT-15]
ALTER TABLE event ADD COLUMN action_user text COLLATE "C";

-- Moves markers forward, never back; takes stream positions from `newest` on, under the append lock. [ACT-11]
-- The furthest of a user's private and public marker of a kind is theirs, so a private one that others have caught up
-- with is gone. Answers {newest, moves: {marker n: {position, reach}}}; a reach is `own`, `others` or `all`.
CREATE FUNCTION move_markers(batch jsonb, accepted integer[], newest bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  item record;
  reach text;
  moves jsonb := '{}';
BEGIN
  FOR item IN
    SELECT n, room, user_id, kind, private, event, major, decode(minor, 'hex') AS minor, id, set_at, device, action,
      suppressed
    FROM jsonb_to_recordset(batch -> 'markers') AS marker(n integer, unit integer, room text, user_id text, kind text,
      private boolean, event text, major bigint, minor text, id text, set_at bigint, device text, action text,
      suppressed boolean)
    WHERE unit = ANY (accepted) ORDER BY n
  LOOP
    CONTINUE WHEN EXISTS (
      SELECT FROM marker WHERE room_id = item.room AND user_id = item.user_id AND kind = item.kind
        AND (item.private OR NOT private) AND (marker.major, marker.minor) >= (item.major, item.minor));
    newest := newest + 1;
    INSERT INTO marker (room_id, user_id, kind, private, event_id, major, minor, position, set_at, action_device,
      action_id, move_id, suppressed)
    VALUES (item.room, item.user_id, item.kind, item.private, item.event, item.major, item.minor, newest,
      to_timestamp(item.set_at / 1000.0), item.device, item.action, item.id, item.suppressed)
    ON CONFLICT (room_id, user_id, kind, private) DO UPDATE
    SET event_id = excluded.event_id, major = excluded.major, minor = excluded.minor, position = excluded.position,
      set_at = excluded.set_at, action_device = excluded.action_device, action_id = excluded.action_id,
      move_id = excluded.move_id, suppressed = excluded.suppressed;
    reach := 'own';
    IF NOT item.private THEN
      DELETE FROM marker WHERE room_id = item.room AND user_id = item.user_id AND kind = item.kind AND private
        AND (marker.major, marker.minor) <= (item.major, item.minor);
      reach := CASE WHEN EXISTS (
        SELECT FROM marker WHERE room_id = item.room AND user_id = item.user_id AND kind = item.kind AND private
      ) THEN 'others' ELSE 'all' END;
    END IF;
    moves := moves || jsonb_build_object(item.n::text, jsonb_build_object('position', newest, 'reach', reach));
  END LOOP;
  RETURN jsonb_build_object('newest', newest, 'moves', moves);
END $$;

-- Takes the force from an event that should never have been accepted: state is read as if it hadn't been, and so are the
-- periods by which visibility is judged. What restores the slot is an event of its own. [EVS-7]
CREATE FUNCTION reject_event(in_event text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  target record;
  before text;
BEGIN
  UPDATE event SET in_force = false WHERE event_id = in_event AND state_key IS NOT NULL AND in_force
  RETURNING position, room_id, type, state_key INTO target;
  IF target.type = 'm.room.member' THEN
    SELECT coalesce(effective, membership) INTO before FROM membership_period
    WHERE room_id = target.room_id AND user_id = target.state_key AND from_position < target.position
    ORDER BY from_position DESC LIMIT 1;
    -- Rejected ones that follow directly count as what counted before them.
    UPDATE membership_period SET effective = coalesce(before, 'leave')
    WHERE room_id = target.room_id AND user_id = target.state_key AND (from_position = target.position
      OR (effective IS NOT NULL AND from_position > target.position AND NOT EXISTS (
        SELECT FROM membership_period AS valid WHERE valid.room_id = target.room_id
          AND valid.user_id = target.state_key AND valid.effective IS NULL
          AND valid.from_position > target.position AND valid.from_position < membership_period.from_position)));
  ELSIF target.type = 'm.room.history_visibility' AND target.state_key = '_' THEN
    SELECT coalesce(effective, visibility) INTO before FROM visibility_period
    WHERE room_id = target.room_id AND from_position < target.position ORDER BY from_position DESC LIMIT 1;
    UPDATE visibility_period SET effective = coalesce(before, 'shared')
    WHERE room_id = target.room_id AND (from_position = target.position
      OR (effective IS NOT NULL AND from_position > target.position AND NOT EXISTS (
        SELECT FROM visibility_period AS valid WHERE valid.room_id = target.room_id AND valid.effective IS NULL
          AND valid.from_position > target.position AND valid.from_position < visibility_period.from_position)));
  END IF;
END $$;

-- append_batch again, whole, since functions are replaced as a whole.
--
-- Appends a batch of units, each of which stands or falls alone.
--
-- batch: {process, units: [unit], events: [event], relations: [relation], markers: [marker], rejections: [rejection]}, and
--   booleans that say what there is to do, so that a batch of plain messages takes few statements:
--   {rooms, state, messages, updates, redactions, actions}
--   unit      {n, room, version, next, user_id, device_id, action_id, request_hash, answer_ids,
--              parts: [{action_id, event_id}] or none, creator, created_at, published, alias}; `version` is the room's auth version that the unit was
--              authorised on (null: the room is new), `next` the one that it brings about (null: none)
--   event     {n, unit, id, room, major, minor, type, state_key, sender, sent_at, content, in_force, updates, relates_to,
--              redacts, restores, inserted_after, actor, device, action, suppressed, auth_version, signatures}, n from 0 in the order of
--              appending
--   relation  {event, parent, type, key}
--   marker    {n, unit, room, user_id, kind, private, event, major, minor, id, set_at, device, action, suppressed}
--   rejection {unit, event}
-- Answers {previous, to, units: [{n, outcome, event_ids, request_hash}], positions: [position or null by event n],
--   replaces: {event n: event id}, moves: {marker n: {position, reach}}}; an outcome is `appended`, `repeated` (the action
--   id is known) or `stale`. Markers that didn't move have no entry.
CREATE OR REPLACE FUNCTION append_batch(batch jsonb) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  verdicts jsonb;
  accepted integer[];
  positions bigint[];
  previous bigint;
  newest bigint;
  item record;
  replaced text;
  replaces jsonb := '{}';
  bridged boolean;
  moved jsonb;
  overtaken integer[] := '{}';
BEGIN
  -- A statement of its own: what follows must see all that the lock's last holder committed.
  PERFORM append_lock();

  IF (batch ->> 'redactions')::boolean OR (batch ->> 'updates')::boolean THEN
    -- What was planned before somebody redacted the event is out of date, and so is a redaction planned before its latest
    -- edit: the text must not come back, nor stay in an edit. [ACT-14]
    SELECT coalesce(array_agg(draft.unit), '{}') INTO overtaken
    FROM jsonb_to_recordset(batch -> 'events') AS draft(unit integer, updates text, redacts text)
    CROSS JOIN LATERAL (
      SELECT * FROM event WHERE event_id = coalesce(draft.redacts, draft.updates) LIMIT 1
    ) AS target
    WHERE target.redacted_by_id IS NOT NULL OR (draft.redacts IS NOT NULL AND EXISTS (
      SELECT FROM event AS edit WHERE edit.updates_id = target.event_id AND edit.sender = target.sender
        AND edit.redacted_by_id IS NULL AND NOT EXISTS (
          SELECT FROM jsonb_to_recordset(batch -> 'events') AS other(unit integer, redacts text)
          WHERE other.unit = draft.unit AND other.redacts = edit.event_id)));
  END IF;

  SELECT
    coalesce(jsonb_agg(jsonb_build_object(
      'n', verdict.n, 'outcome', verdict.outcome, 'event_ids', verdict.event_ids, 'request_hash', verdict.request_hash
    ) ORDER BY verdict.n), '[]'),
    coalesce(array_agg(verdict.n) FILTER (WHERE verdict.outcome = 'appended'), '{}')
  INTO verdicts, accepted
  FROM (
    SELECT unit.n, action.event_ids, action.request_hash,
      CASE
        WHEN action.action_id IS NOT NULL THEN 'repeated'
        WHEN unit.version IS DISTINCT FROM room.auth_version OR unit.n = ANY (overtaken) THEN 'stale'
        ELSE 'appended'
      END AS outcome
    FROM jsonb_to_recordset(batch -> 'units')
      AS unit(n integer, room text, version bigint, user_id text, device_id text, action_id text)
    -- Each looked up by itself, whatever the tables' sizes were when this was planned.
    LEFT JOIN LATERAL (SELECT auth_version FROM room WHERE room_id = unit.room LIMIT 1) AS room ON true
    LEFT JOIN LATERAL (
      SELECT action_id, event_ids, request_hash FROM action
      WHERE user_id = unit.user_id AND device_id = unit.device_id AND action_id = unit.action_id LIMIT 1
    ) AS action ON true
  ) AS verdict;

  SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO previous FROM stream_position;

  SELECT coalesce(array_agg(drawn.position ORDER BY drawn.n), '{}')
  INTO positions
  FROM (
    SELECT event.n, CASE WHEN event.unit = ANY (accepted)
      THEN previous + count(*) FILTER (WHERE event.unit = ANY (accepted)) OVER (ORDER BY event.n) END AS position
    FROM jsonb_to_recordset(batch -> 'events') AS event(n integer, unit integer)
  ) AS drawn;

  newest := coalesce((SELECT max(drawn) FROM unnest(positions) AS drawn), previous);
  bridged := EXISTS (SELECT FROM app_service);

  IF (batch ->> 'rooms')::boolean THEN
    INSERT INTO room (room_id, creator, created_at, auth_version, published)
    SELECT unit.room, unit.creator, to_timestamp(unit.created_at / 1000.0), unit.next, coalesce(unit.published, false)
    FROM jsonb_to_recordset(batch -> 'units')
      AS unit(n integer, room text, version bigint, next bigint, creator text, created_at bigint, published boolean)
    WHERE unit.n = ANY (accepted) AND unit.version IS NULL AND unit.creator IS NOT NULL;

    INSERT INTO room_alias (alias, room_id, creator)
    SELECT unit.alias, unit.room, unit.creator
    FROM jsonb_to_recordset(batch -> 'units') AS unit(n integer, room text, creator text, alias text)
    WHERE unit.n = ANY (accepted) AND unit.alias IS NOT NULL;
  END IF;

  IF (batch ->> 'state')::boolean THEN
    UPDATE room SET auth_version = unit.next
    FROM jsonb_to_recordset(batch -> 'units') AS unit(n integer, room text, version bigint, next bigint)
    WHERE unit.n = ANY (accepted) AND unit.version IS NOT NULL AND unit.next IS NOT NULL AND room.room_id = unit.room;
  END IF;

  IF (batch ->> 'messages')::boolean THEN
    INSERT INTO event (position, event_id, room_id, major, minor, type, sender, sent_at, content, updates_id, relates_to,
      redacts_id, inserted_after_id, action_user, action_device, action_id, suppressed, signatures)
    SELECT positions[event.n + 1], event.id, event.room, coalesce(event.major, positions[event.n + 1]),
      decode(coalesce(event.minor, ''), 'hex'), event.type, event.sender, event.sent_at, event.content, event.updates,
      event.relates_to, event.redacts, event.inserted_after, event.actor, event.device, event.action, coalesce(event.suppressed, false),
      event.signatures
    FROM jsonb_to_recordset(batch -> 'events') AS event(n integer, id text, room text, major bigint, minor text, type text,
      state_key text, sender text, sent_at bigint, content text, updates text, relates_to text, redacts text,
      inserted_after text, actor text, device text, action text, suppressed boolean, signatures text)
    WHERE event.state_key IS NULL AND positions[event.n + 1] IS NOT NULL;
  END IF;

  IF jsonb_array_length(batch -> 'rejections') > 0 THEN
    PERFORM reject_event(rejection.event)
    FROM jsonb_to_recordset(batch -> 'rejections') AS rejection(unit integer, event text)
    WHERE rejection.unit = ANY (accepted);
  END IF;

  IF (batch ->> 'state')::boolean THEN
    -- State goes one by one, since a batch may set one slot several times.
    FOR item IN
      SELECT event.*, positions[event.n + 1] AS position
      FROM jsonb_to_recordset(batch -> 'events') AS event(n integer, id text, room text, major bigint, minor text,
        type text, state_key text, sender text, sent_at bigint, content text, in_force boolean, restores text, inserted_after text,
        actor text, device text, action text, suppressed boolean, auth_version bigint, signatures text)
      WHERE event.state_key IS NOT NULL AND positions[event.n + 1] IS NOT NULL
      ORDER BY event.n
    LOOP
      replaced := NULL;
      IF coalesce(item.in_force, true) THEN
        SELECT event_id INTO replaced FROM current_state
        WHERE room_id = item.room AND type = item.type AND state_key = item.state_key;
        IF replaced IS NOT NULL THEN
          replaces := replaces || jsonb_build_object(item.n::text, replaced);
        END IF;
      END IF;

      INSERT INTO event (position, event_id, room_id, major, minor, type, state_key, sender, sent_at, content, in_force,
        replaces_id, restores_id, inserted_after_id, action_user, action_device, action_id, suppressed, auth_version, signatures)
      VALUES (item.position, item.id, item.room, coalesce(item.major, item.position),
        decode(coalesce(item.minor, ''), 'hex'), item.type, item.state_key, item.sender, item.sent_at, item.content,
        coalesce(item.in_force, true), replaced, item.restores, item.inserted_after, item.actor, item.device, item.action,
        coalesce(item.suppressed, false), item.auth_version, item.signatures);

      IF coalesce(item.in_force, true) THEN
        PERFORM apply_state(item.room, item.type, item.state_key, item.position, item.id, item.content, bridged);
      END IF;
    END LOOP;
  END IF;

  IF jsonb_array_length(batch -> 'relations') > 0 THEN
    INSERT INTO relation (parent_id, type, major, minor, child_id, room_id, key)
    SELECT relation.parent, relation.type, child.major, child.minor, child.event_id, child.room_id, relation.key
    FROM jsonb_to_recordset(batch -> 'relations') AS relation(event integer, parent text, type text, key text)
    CROSS JOIN LATERAL (SELECT * FROM event WHERE position = positions[relation.event + 1] LIMIT 1) AS child
    ON CONFLICT DO NOTHING;
  END IF;

  IF (batch ->> 'redactions')::boolean THEN
    -- The text of a redacted event is gone from here on; its place and who redacted it stay. [ACT-14]
    -- Of several redactions in one batch the first one counts, as it does for whoever follows the stream.
    -- A deletion has no content that could go. Signatures would let a guess of the text be checked.
    -- So would a relation's key, which is text of the sender's as well.
    UPDATE relation SET key = NULL
    FROM jsonb_to_recordset(batch -> 'events') AS redaction(n integer, redacts text)
    CROSS JOIN LATERAL (
      SELECT * FROM event WHERE event_id = redaction.redacts AND relates_to IS NOT NULL LIMIT 1
    ) AS child
    CROSS JOIN LATERAL jsonb_to_recordset(child.relates_to::jsonb) AS named(type text, event_id text)
    WHERE positions[redaction.n + 1] IS NOT NULL AND relation.parent_id = named.event_id AND relation.type = named.type
      AND relation.major = child.major AND relation.minor = child.minor;
    UPDATE event SET content = CASE WHEN content IS NULL THEN NULL ELSE '{}' END, signatures = NULL,
      relates_to = (
        SELECT '[' || string_agg(format('{"type":%s,"event_id":%s}', to_json(named.type), to_json(named.event_id)), ',') || ']'
        FROM jsonb_to_recordset(event.relates_to::jsonb) AS named(type text, event_id text)),
      redacted_by_id = redaction.id
    FROM (
      SELECT DISTINCT ON (listed.redacts) listed.id, listed.redacts
      FROM jsonb_to_recordset(batch -> 'events') AS listed(n integer, id text, redacts text)
      WHERE listed.redacts IS NOT NULL AND positions[listed.n + 1] IS NOT NULL
      ORDER BY listed.redacts, listed.n
    ) AS redaction
    WHERE event.event_id = redaction.redacts AND event.redacted_by_id IS NULL;
  END IF;

  IF (batch ->> 'actions')::boolean THEN
    INSERT INTO action (user_id, device_id, action_id, request_hash, event_ids)
    SELECT unit.user_id, unit.device_id, unit.action_id, unit.request_hash,
      ARRAY(SELECT jsonb_array_elements_text(unit.answer_ids))
    FROM jsonb_to_recordset(batch -> 'units')
      AS unit(n integer, user_id text, device_id text, action_id text, request_hash text, answer_ids jsonb)
    WHERE unit.n = ANY (accepted) AND unit.action_id IS NOT NULL;

    -- Ids of single events of a batch: none of them is ever used for something else. [ACT-2]
    INSERT INTO action (user_id, device_id, action_id, request_hash, event_ids)
    SELECT unit.user_id, unit.device_id, part.action_id, unit.request_hash, ARRAY[part.event_id]
    FROM jsonb_to_recordset(batch -> 'units')
      AS unit(n integer, user_id text, device_id text, request_hash text, parts jsonb)
    CROSS JOIN LATERAL jsonb_to_recordset(unit.parts) AS part(action_id text, event_id text)
    WHERE unit.n = ANY (accepted);
  END IF;

  IF bridged THEN
    INSERT INTO app_service_queue (app_service_id, position)
    SELECT interest.app_service_id, positions[event.n + 1]
    FROM jsonb_to_recordset(batch -> 'events') AS event(n integer, room text, type text, state_key text, sender text)
    CROSS JOIN LATERAL (
      SELECT app_service_id FROM app_service_room WHERE room_id = event.room AND reasons > 0
      UNION
      SELECT app_service_id FROM app_service_user
      WHERE user_id = event.sender OR (event.type = 'm.room.member' AND user_id = event.state_key)
    ) AS interest
    WHERE positions[event.n + 1] IS NOT NULL;
  END IF;

  IF jsonb_array_length(batch -> 'markers') > 0 THEN
    moved := move_markers(batch, accepted, newest);
    newest := (moved ->> 'newest')::bigint;
  END IF;

  IF newest > previous THEN
    PERFORM setval('stream_position', newest);
    PERFORM pg_notify('hearth_stream', json_build_object(
      'process', batch ->> 'process', 'previous', previous, 'to', newest)::text);
  END IF;

  RETURN jsonb_build_object('previous', previous, 'to', newest, 'units', verdicts,
    'positions', to_jsonb(positions), 'replaces', replaces, 'moves', coalesce(moved -> 'moves', '{}'));
END $$;
