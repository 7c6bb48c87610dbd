-- Aliases that come and go after their room was made, and profiles that spread to the rooms of a user. See
-- docs/decisions/0011-profiles.md.

-- Nothing ever read it: a profile reaches who follows it by events in rooms.
ALTER TABLE profile DROP COLUMN position;

-- Users whose rooms may not show their global profile yet; whoever holds the lease brings it there. [PRO-3, PRO-5]
CREATE TABLE profile_change (
  user_id text COLLATE "C" NOT NULL,
  -- Grows with every change, so that one that comes meanwhile isn't taken for done.
  version bigint NOT NULL,
  -- What the events in the rooms tell of the device that made the latest change. [EVS-8, ACT-15]
  device_id text COLLATE "C" NOT NULL,
  action_id text COLLATE "C",
  suppressed boolean NOT NULL,
  -- The rooms have been gone through once; a last look finds those that were joined meanwhile.
  reached boolean NOT NULL DEFAULT false,
  lease_until timestamptz(3) NOT NULL,
  CONSTRAINT profile_change_pkey PRIMARY KEY (user_id),
  CONSTRAINT profile_change_user_id_fkey FOREIGN KEY (user_id) REFERENCES account (user_id)
    ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX profile_change_lease_until_idx ON profile_change (lease_until);

-- The units that were planned on what a state slot no longer holds. A slot counts as empty when its event was redacted.
CREATE FUNCTION overtaken_slots(batch jsonb) RETURNS integer[] LANGUAGE plpgsql AS $$
BEGIN
  RETURN (
    SELECT coalesce(array_agg(slot.unit), '{}')
    FROM jsonb_to_recordset(batch -> 'slots') AS slot(unit integer, room text, type text, state_key text, holder text)
    LEFT JOIN LATERAL (
      SELECT event_id, redacted_by_id FROM event
      WHERE event.room_id = slot.room AND event.type = slot.type AND event.state_key = slot.state_key AND event.in_force
      ORDER BY event.major DESC, event.minor DESC LIMIT 1
    ) AS held ON true
    WHERE CASE WHEN held.redacted_by_id IS NULL THEN held.event_id END IS DISTINCT FROM slot.holder);
END $$;

-- Adds and removes the aliases of the units that were accepted. [ALI-2]
CREATE FUNCTION change_aliases(batch jsonb, accepted integer[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM room_alias USING jsonb_to_recordset(batch -> 'aliases') AS old(unit integer, room text, alias text, creator text)
  WHERE old.unit = ANY (accepted) AND old.creator IS NULL AND room_alias.alias = old.alias AND room_alias.room_id = old.room;
  INSERT INTO room_alias (alias, room_id, creator)
  SELECT made.alias, made.room, made.creator
  FROM jsonb_to_recordset(batch -> 'aliases') AS made(unit integer, room text, alias text, creator text)
  WHERE made.unit = ANY (accepted) AND made.creator IS NOT NULL;
END $$;

-- append_batch again, whole, since functions are replaced as a whole.
--
-- Appends a batch of units, each of which stands or falls alone.
--
-- batch: {process, units: [unit], events: [event], relations: [relation], markers: [marker], rejections: [rejection],
--   calls: [call] or none, with `updates`, slots: [slot] or none, aliases: [alias] or none}, and booleans that say what there is to do, so that
--   a batch of plain messages takes few statements:
--   {rooms, state, messages, updates, redactions, actions}
--   unit      {n, room, version, next, user_id, device_id, action_id, request_hash, answer_ids,
--              parts: [{action_id, event_id}] or none, creator, created_at, published}; `version` is the room's auth version that the unit was
--              authorised on (null: the room is new), `next` the one that it brings about (null: none)
--   event     {n, unit, id, room, major, minor, type, state_key, sender, sent_at, content, in_force, updates, relates_to,
--              redacts, restores, inserted_after, actor, device, action, suppressed, auth_version, signatures}, n from 0 in the order of
--              appending
--   relation  {event, parent, type, key}
--   marker    {n, unit, room, user_id, kind, private, event, major, minor, id, set_at, device, action, suppressed}
--   rejection {unit, event}
--   call      {unit, call, revision, opposing, room, caller, caller_device, callee, state, parties, accepted_user,
--              accepted_device, created_at, expires_at, ended_reason}; `revision` is the one that the unit was planned on
--              (null: the call is new), `opposing` for new ones the calls from the other side that it knows of; without
--              `state` the call stays as it is
--   slot      {unit, room, type, state_key, holder}: the unit was planned on this event holding the slot, null: on none that
--              isn't redacted
--   alias     {unit, room, alias, creator}: one to add, or without a creator one to remove
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
  signalled boolean := false;
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

    -- What signals of calls are held to, and what they move, is in functions of the migration of calls.
    signalled := batch ? 'calls';
    IF signalled THEN
      overtaken := overtaken || overtaken_signals(batch);
    END IF;
  END IF;
  IF batch ? 'slots' THEN
    overtaken := overtaken || overtaken_slots(batch);
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
  END IF;
  IF batch ? 'aliases' THEN
    PERFORM change_aliases(batch, accepted);
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

  IF signalled THEN
    PERFORM move_calls(batch, accepted, newest);
  END IF;

  IF newest > previous THEN
    PERFORM setval('stream_position', newest);
    PERFORM pg_notify('hearth_stream', json_build_object(
      'process', batch ->> 'process', 'previous', previous, 'to', newest)::text);
  END IF;

  RETURN jsonb_build_object('previous', previous, 'to', newest, 'units', verdicts,
    'positions', to_jsonb(positions), 'replaces', replaces, 'moves', coalesce(moved -> 'moves', '{}'));
END $$;
