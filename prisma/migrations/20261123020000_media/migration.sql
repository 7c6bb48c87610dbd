-- The content repository. Bytes lie outside the database, each at a place of its own that no other bytes ever had: so
-- that removing some and keeping the same ones anew can't meet. Whatever may lie there has a row here, from before it is
-- put until after it was removed: `pending` while it is put, `live` when files have it, `dead` when it is to be removed.
CREATE TABLE media_blob (
  place text COLLATE "C" PRIMARY KEY,
  sha256 bytea NOT NULL,
  state text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'live', 'dead')),
  changed_at timestamptz(3) NOT NULL
);
-- The same bytes are kept once.
CREATE UNIQUE INDEX media_blob_live ON media_blob (sha256) WHERE state = 'live';
CREATE INDEX media_blob_unsettled ON media_blob (changed_at) WHERE state <> 'live';

CREATE INDEX media_sha256_idx ON media (sha256);
DROP INDEX media_uploader_idx;
CREATE INDEX media_uploader_idx ON media (uploader, created_at, media_id);

-- What a user's files take, counted where they are kept and deleted.
CREATE TABLE media_usage (
  user_id text COLLATE "C" PRIMARY KEY,
  bytes bigint NOT NULL
);

-- Ids that were given away before their content.
CREATE TABLE media_reservation (
  media_id text COLLATE "C" PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  expires_at timestamptz(3) NOT NULL
);
CREATE INDEX media_reservation_user_id_idx ON media_reservation (user_id, expires_at);
CREATE INDEX media_reservation_expires_at_idx ON media_reservation (expires_at);

-- Who decides about bytes holds this until the end of the transaction.
CREATE FUNCTION media_lock(p_sha256 bytea) RETURNS void LANGUAGE sql AS
  $$ SELECT pg_advisory_xact_lock(20261123, hashtext(encode(p_sha256, 'hex'))) $$;

-- Makes a file of bytes that were put at a place, or of such as are live already where it names none. Gives `kept`;
-- `closed` when the uploader's account was shut meanwhile; `quota` when the user has no room for it; `gone` when the bytes aren't there (any more); `unreserved` when the id was to
-- be reserved and isn't. Everything but `kept` changes nothing. A place that isn't needed is dead then.
CREATE FUNCTION media_keep(
  p_media_id text, p_sha256 bytea, p_size bigint, p_uploader text, p_content_type text, p_file_name text,
  p_now timestamptz, p_place text, p_quota bigint, p_reserved boolean
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  used bigint;
  kept_at text;
BEGIN
  -- An account that is being shut is waited for: after it nothing new belongs to its user.
  PERFORM FROM account WHERE user_id = p_uploader AND deactivated_at IS NULL AND deleted_at IS NULL FOR SHARE;
  IF NOT FOUND THEN RETURN 'closed'; END IF;
  INSERT INTO media_usage (user_id, bytes) VALUES (p_uploader, 0) ON CONFLICT DO NOTHING;
  -- Whoever keeps files for the same user waits here, and counts anew.
  SELECT bytes INTO used FROM media_usage WHERE user_id = p_uploader FOR UPDATE;
  IF p_quota > 0 AND used + p_size > p_quota THEN RETURN 'quota'; END IF;
  IF p_reserved THEN
    PERFORM FROM media_reservation
      WHERE media_id = p_media_id AND user_id = p_uploader AND expires_at > p_now FOR UPDATE;
    IF NOT FOUND THEN RETURN 'unreserved'; END IF;
  END IF;
  PERFORM media_lock(p_sha256);
  SELECT place INTO kept_at FROM media_blob WHERE sha256 = p_sha256 AND state = 'live';
  IF kept_at IS NULL THEN
    UPDATE media_blob SET state = 'live', changed_at = p_now WHERE place = p_place AND state = 'pending';
    IF NOT FOUND THEN RETURN 'gone'; END IF;
  ELSE
    UPDATE media_blob SET state = 'dead', changed_at = p_now WHERE place = p_place AND state = 'pending';
  END IF;
  DELETE FROM media_reservation WHERE p_reserved AND media_id = p_media_id;
  UPDATE media_usage SET bytes = bytes + p_size WHERE user_id = p_uploader;
  INSERT INTO media (media_id, sha256, uploader, content_type, file_name, size, created_at)
    VALUES (p_media_id, p_sha256, p_uploader, p_content_type, p_file_name, p_size, p_now);
  RETURN 'kept';
END $$;

-- Deletes a file; its bytes are dead when no other file has them. True when there was such a file.
CREATE FUNCTION media_delete(p_media_id text, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  deleted media;
BEGIN
  DELETE FROM media WHERE media_id = p_media_id RETURNING * INTO deleted;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE media_usage SET bytes = bytes - deleted.size WHERE user_id = deleted.uploader;
  PERFORM media_lock(deleted.sha256);
  PERFORM FROM media WHERE sha256 = deleted.sha256 LIMIT 1;
  IF NOT FOUND THEN
    UPDATE media_blob SET state = 'dead', changed_at = p_now WHERE sha256 = deleted.sha256 AND state = 'live';
  END IF;
  RETURN true;
END $$;
