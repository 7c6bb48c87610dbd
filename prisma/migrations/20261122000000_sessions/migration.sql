-- What a device is doing right now. Lost when the database crashes, as the connections of all clients are. [SES-1, SES-3]
ALTER TABLE session SET UNLOGGED;
ALTER TABLE session ADD COLUMN token_id text COLLATE "C" NOT NULL;
ALTER TABLE session ADD COLUMN active_at timestamptz(3) NOT NULL;
ALTER TABLE session ADD COLUMN presence text COLLATE "C";
ALTER TABLE session ADD COLUMN capabilities text COLLATE "C";
CREATE INDEX session_expires_at_idx ON session (expires_at);
CREATE INDEX session_token_id_idx ON session (token_id);

-- Who made the server keep a set, so that nobody makes it keep too many. [CAP-3]
ALTER TABLE capability_set ADD COLUMN uploaded_by text COLLATE "C" NOT NULL;
CREATE INDEX capability_set_uploaded_by_idx ON capability_set (uploaded_by);
