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
