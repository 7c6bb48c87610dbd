-- What clients keep with the server for their users, such as settings and tags of rooms.

CREATE TABLE account_data (
  user_id text COLLATE "C" NOT NULL,
  -- Empty for what is about no room.
  room_id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  -- JSON as it was sent: numbers may have fractions here.
  content text NOT NULL,
  -- Grows with every change that the user makes, one after the other.
  version bigint NOT NULL,
  CONSTRAINT account_data_pkey PRIMARY KEY (user_id, room_id, type)
);
CREATE INDEX account_data_version_idx ON account_data (user_id, version);

-- As it was, with what clients kept for the user.
CREATE OR REPLACE FUNCTION forget_user(in_user text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM device WHERE user_id = in_user;
  DELETE FROM profile WHERE user_id = in_user;
  DELETE FROM profile_change WHERE user_id = in_user;
  DELETE FROM account_data WHERE user_id = in_user;
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
