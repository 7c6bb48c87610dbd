-- Calls: each a row that moves with the events that signal it, in their transaction. See docs/decisions/0010-calls.md.

-- Devices of the callee that answered or rejected: a JSON list of {userId, deviceId, rejected, eventId}. [VOIP-2]
ALTER TABLE call ADD COLUMN parties text COLLATE "C" NOT NULL DEFAULT '[]';
-- Grows with every change: whoever plans a signal says which one it was planned on.
ALTER TABLE call ADD COLUMN revision integer NOT NULL DEFAULT 1;
-- A stream position, of the end or just after it: until there the call was live.
ALTER TABLE call ADD COLUMN ended_position bigint;

CREATE INDEX call_live_room ON call (room_id) WHERE state <> 'ENDED';
CREATE INDEX call_live_caller ON call (caller) WHERE state <> 'ENDED';
CREATE INDEX call_live_callee ON call (callee) WHERE state <> 'ENDED';
CREATE INDEX call_expiry ON call (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX call_ended ON call (ended_position) WHERE ended_position IS NOT NULL;
DROP INDEX call_room_id_state_idx;

-- Changes who answered or rejected, where no event tells it; under the append lock, so that nobody acknowledges a device
-- meanwhile. False when the call was moved since that revision. [VOIP-5]
CREATE FUNCTION set_call_parties(in_call text, in_revision integer, in_parties text, in_state text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM append_lock();
  UPDATE call SET parties = in_parties, state = in_state, revision = revision + 1
  WHERE call_id = in_call AND revision = in_revision;
  RETURN FOUND;
END $$;

-- The units that were planned before somebody else moved their call, or placed one from the other side. [VOIP-2, VOIP-7]
CREATE FUNCTION overtaken_signals(batch jsonb) RETURNS integer[] LANGUAGE plpgsql AS $$
BEGIN
  RETURN (
    SELECT coalesce(array_agg(move.unit), '{}')
    FROM jsonb_to_recordset(batch -> 'calls')
      AS move(unit integer, call text, revision integer, opposing jsonb, room text, caller text)
    LEFT JOIN LATERAL (SELECT revision FROM call WHERE call_id = move.call LIMIT 1) AS stored ON true
    WHERE stored.revision IS DISTINCT FROM move.revision OR (move.revision IS NULL AND EXISTS (
      SELECT FROM call AS other WHERE other.room_id = move.room AND other.state IN ('RINGING', 'ANSWERED')
        AND other.caller <> move.caller AND NOT move.opposing ? other.call_id)));
END $$;

-- Places and moves the calls of the units that were accepted; `newest` is the position of the last event of the batch.
CREATE FUNCTION move_calls(batch jsonb, accepted integer[], newest bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO call (call_id, room_id, caller, caller_device, callee, state, parties, accepted_user, accepted_device,
    created_at, expires_at, ended_reason, ended_position, revision)
  SELECT move.call, move.room, move.caller, move.caller_device, move.callee, move.state, move.parties, move.accepted_user,
    move.accepted_device, to_timestamp(move.created_at / 1000.0), to_timestamp(move.expires_at / 1000.0),
    move.ended_reason, CASE WHEN move.state = 'ENDED' THEN newest END, coalesce(move.revision, 0) + 1
  FROM jsonb_to_recordset(batch -> 'calls') AS move(unit integer, call text, revision integer, room text, caller text,
    caller_device text, callee text, state text, parties text, accepted_user text, accepted_device text,
    created_at bigint, expires_at bigint, ended_reason text)
  WHERE move.unit = ANY (accepted) AND move.state IS NOT NULL
  ON CONFLICT (call_id) DO UPDATE
  SET state = excluded.state, parties = excluded.parties, accepted_user = excluded.accepted_user,
    accepted_device = excluded.accepted_device, expires_at = excluded.expires_at, ended_reason = excluded.ended_reason,
    ended_position = excluded.ended_position, revision = excluded.revision;
END $$;

-- append_batch again, whole, since functions are replaced as a whole.
--
-- Appends a batch of units, each of which stands or falls alone.
--
-- batch: {process, units: [unit], events: [event], relations: [relation], markers: [marker], rejections: [rejection],
--   calls: [call] or none, with `updates`}, and booleans that say what there is to do, so that a batch of plain messages takes few statements:
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
--   call      {unit, call, revision, opposing, room, caller, caller_device, callee, state, parties, accepted_user,
--              accepted_device, created_at, expires_at, ended_reason}; `revision` is the one that the unit was planned on
--              (null: the call is new), `opposing` for new ones the calls from the other side that it knows of; without
--              `state` the call stays as it is
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

    signalled := batch ? 'calls';
    IF signalled THEN
      overtaken := overtaken || overtaken_signals(batch);
    END IF;
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
