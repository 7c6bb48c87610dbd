-- Accounts that are deleted, and what is still to be done for that. See docs/decisions/0014-leaving.md.

CREATE TABLE account_deletion (
  user_id text COLLATE "C" NOT NULL,
  -- Whether what the user sent is redacted, too.
  erase boolean NOT NULL,
  requested_at timestamptz(3) NOT NULL,
  -- When a process may take it up; one that works on it puts this off, until it dies.
  due_at timestamptz(3) NOT NULL,
  -- Grows with every process that takes it up, so that one that was overtaken notices.
  claim bigint NOT NULL DEFAULT 0,
  CONSTRAINT account_deletion_pkey PRIMARY KEY (user_id)
);

-- Deletes what is kept of a user beside their account, devices and events. What requests under way leave behind goes when
-- this is called again.
CREATE FUNCTION forget_user(in_user text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM device WHERE user_id = in_user;
  DELETE FROM profile WHERE user_id = in_user;
  DELETE FROM profile_change WHERE user_id = in_user;
  -- Others may be paging through it.
  UPDATE published_snapshot SET taken_by = '' WHERE taken_by = in_user;
  DELETE FROM capability_set WHERE uploaded_by = in_user AND NOT EXISTS (
    SELECT FROM session WHERE session.capabilities = capability_set.hash AND session.user_id <> in_user);
  UPDATE capability_set SET uploaded_by = '' WHERE uploaded_by = in_user;
  -- Markers move under this lock; without it, two that wait for each other's rows could meet.
  PERFORM append_lock();
  -- Found by way of the user's rooms: nobody sets a marker in a room that they never joined.
  DELETE FROM marker USING (
    SELECT DISTINCT room_id FROM membership_period WHERE user_id = in_user
  ) AS known
  WHERE marker.room_id = known.room_id AND marker.user_id = in_user;
END $$;

-- Deletes an account: at once what only the server sees, and all that lets somebody in; the rest is noted, to be done by
-- whichever process takes it up. The row stays, so that the name is never given out again. [ACC-3]
-- Gives the ids of the tokens that hold no longer; null when there was no such account. Again it is no error.
CREATE FUNCTION delete_account(in_user text, in_erase boolean) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  tokens text[];
BEGIN
  UPDATE account SET deleted_at = coalesce(deleted_at, now()), password_hash = NULL, admin = false, status_text = NULL,
    appear_offline = false, deactivated_at = NULL, deactivation_reason = NULL
  WHERE user_id = in_user;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  -- Devices before their tokens, as whoever removes one device does.
  PERFORM FROM device WHERE user_id = in_user ORDER BY device_id FOR UPDATE;
  WITH gone AS (DELETE FROM access_token WHERE user_id = in_user RETURNING id)
  SELECT coalesce(array_agg(id), '{}') INTO tokens FROM gone;
  INSERT INTO account_deletion (user_id, erase, requested_at, due_at) VALUES (in_user, in_erase, now(), now())
  ON CONFLICT (user_id) DO UPDATE
  SET erase = account_deletion.erase OR excluded.erase, requested_at = excluded.requested_at, due_at = excluded.due_at,
    claim = account_deletion.claim + 1;
  -- A notification holds up to 8,000 bytes.
  PERFORM pg_notify('hearth_tokens', json_agg(id)::text)
  FROM (SELECT id, row_number() OVER () AS n FROM unnest(tokens) AS id) AS numbered GROUP BY n / 100;
  PERFORM pg_notify('hearth_rights', json_build_array(in_user)::text);
  PERFORM pg_notify('hearth_deletions', '');
  PERFORM forget_user(in_user);
  RETURN tokens;
END $$;
