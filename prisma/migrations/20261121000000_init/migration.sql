-- The tables and indexes of prisma/schema.prisma. Ids and keys sort by bytes whatever the database's locale is.

CREATE TABLE server_setting (
  name text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  CONSTRAINT server_setting_pkey PRIMARY KEY (name)
);

CREATE TABLE account (
  user_id text COLLATE "C" NOT NULL,
  password_hash text COLLATE "C",
  admin boolean NOT NULL DEFAULT false,
  app_service_id text COLLATE "C",
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  deleted_at timestamptz(3),
  status_text text COLLATE "C",
  appear_offline boolean NOT NULL DEFAULT false,
  CONSTRAINT account_pkey PRIMARY KEY (user_id)
);

CREATE TABLE device (
  user_id text COLLATE "C" NOT NULL,
  device_id text COLLATE "C" NOT NULL,
  name text COLLATE "C",
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  last_seen_at timestamptz(3),
  last_seen_ip text COLLATE "C",
  user_agent text COLLATE "C",
  CONSTRAINT device_pkey PRIMARY KEY (user_id, device_id),
  CONSTRAINT device_user_id_fkey FOREIGN KEY (user_id) REFERENCES account (user_id) ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE TABLE access_token (
  id text COLLATE "C" NOT NULL,
  secret_hash bytea NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  device_id text COLLATE "C" NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  last_used_at timestamptz(3),
  CONSTRAINT access_token_pkey PRIMARY KEY (id),
  CONSTRAINT access_token_user_id_device_id_fkey FOREIGN KEY (user_id, device_id) REFERENCES device (user_id, device_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX access_token_secret_hash_key ON access_token (secret_hash);
CREATE UNIQUE INDEX access_token_user_id_device_id_key ON access_token (user_id, device_id);

CREATE TABLE registration_token (
  token text COLLATE "C" NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  expires_at timestamptz(3),
  uses_left integer,
  CONSTRAINT registration_token_pkey PRIMARY KEY (token)
);

CREATE TABLE session (
  user_id text COLLATE "C" NOT NULL,
  device_id text COLLATE "C" NOT NULL,
  session_id text COLLATE "C" NOT NULL,
  started_at timestamptz(3) NOT NULL,
  expires_at timestamptz(3) NOT NULL,
  CONSTRAINT session_pkey PRIMARY KEY (user_id, device_id)
);
CREATE UNIQUE INDEX session_session_id_key ON session (session_id);

CREATE TABLE capability_set (
  hash text COLLATE "C" NOT NULL,
  set text COLLATE "C" NOT NULL,
  uploaded_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT capability_set_pkey PRIMARY KEY (hash)
);

CREATE TABLE profile (
  user_id text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  position bigint NOT NULL DEFAULT 0,
  CONSTRAINT profile_pkey PRIMARY KEY (user_id, key)
);

CREATE TABLE room (
  room_id text COLLATE "C" NOT NULL,
  creator text COLLATE "C" NOT NULL,
  created_at timestamptz(3) NOT NULL,
  auth_version bigint NOT NULL,
  published boolean NOT NULL DEFAULT false,
  CONSTRAINT room_pkey PRIMARY KEY (room_id)
);

CREATE TABLE event (
  position bigint NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  room_id text COLLATE "C" NOT NULL,
  major bigint NOT NULL,
  minor bytea NOT NULL,
  type text COLLATE "C" NOT NULL,
  state_key text COLLATE "C",
  sender text COLLATE "C" NOT NULL,
  sent_at bigint NOT NULL,
  content text COLLATE "C",
  in_force boolean NOT NULL DEFAULT true,
  replaces_id text COLLATE "C",
  updates_id text COLLATE "C",
  relates_to text COLLATE "C",
  redacts_id text COLLATE "C",
  redacted_by_id text COLLATE "C",
  inserted_after_id text COLLATE "C",
  action_device text COLLATE "C",
  action_id text COLLATE "C",
  suppressed boolean NOT NULL DEFAULT false,
  auth_version bigint,
  signatures text COLLATE "C",
  CONSTRAINT event_pkey PRIMARY KEY (position)
);
CREATE UNIQUE INDEX event_event_id_key ON event (event_id);
CREATE UNIQUE INDEX event_room_id_major_minor_key ON event (room_id, major, minor);
CREATE INDEX event_state_slot ON event (room_id, type, state_key, major DESC, minor DESC)
  WHERE in_force AND state_key IS NOT NULL;

CREATE TABLE current_state (
  room_id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  state_key text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  deleted boolean NOT NULL,
  CONSTRAINT current_state_pkey PRIMARY KEY (room_id, type, state_key)
);

CREATE TABLE member (
  room_id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  membership text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  CONSTRAINT member_pkey PRIMARY KEY (room_id, user_id)
);
CREATE INDEX member_user_id_membership_room_id_position_idx ON member (user_id, membership, room_id, position);
CREATE INDEX member_room_id_membership_user_id_idx ON member (room_id, membership, user_id);

CREATE TABLE membership_period (
  room_id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  from_position bigint NOT NULL,
  to_position bigint,
  membership text COLLATE "C" NOT NULL,
  previous text COLLATE "C",
  CONSTRAINT membership_period_pkey PRIMARY KEY (user_id, room_id, from_position)
);

CREATE TABLE visibility_period (
  room_id text COLLATE "C" NOT NULL,
  from_position bigint NOT NULL,
  to_position bigint,
  visibility text COLLATE "C" NOT NULL,
  CONSTRAINT visibility_period_pkey PRIMARY KEY (room_id, from_position)
);

CREATE TABLE relation (
  parent_id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  major bigint NOT NULL,
  minor bytea NOT NULL,
  child_id text COLLATE "C" NOT NULL,
  room_id text COLLATE "C" NOT NULL,
  key text COLLATE "C",
  CONSTRAINT relation_pkey PRIMARY KEY (parent_id, type, major, minor)
);

CREATE TABLE action (
  user_id text COLLATE "C" NOT NULL,
  device_id text COLLATE "C" NOT NULL,
  action_id text COLLATE "C" NOT NULL,
  request_hash text COLLATE "C" NOT NULL,
  event_ids text[] NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT action_pkey PRIMARY KEY (user_id, device_id, action_id)
);
CREATE INDEX action_created_at_idx ON action (created_at);

CREATE TABLE marker (
  room_id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  private boolean NOT NULL DEFAULT false,
  event_id text COLLATE "C" NOT NULL,
  major bigint NOT NULL,
  minor bytea NOT NULL,
  position bigint NOT NULL,
  set_at timestamptz(3) NOT NULL,
  action_device text COLLATE "C",
  action_id text COLLATE "C",
  CONSTRAINT marker_pkey PRIMARY KEY (room_id, user_id, kind, private)
);
CREATE INDEX marker_position_idx ON marker (position);

CREATE TABLE room_alias (
  alias text COLLATE "C" NOT NULL,
  room_id text COLLATE "C" NOT NULL,
  creator text COLLATE "C" NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT room_alias_pkey PRIMARY KEY (alias)
);
CREATE INDEX room_alias_room_id_idx ON room_alias (room_id);

CREATE TABLE published_snapshot (
  id text COLLATE "C" NOT NULL,
  search text COLLATE "C",
  room_ids text[] NOT NULL,
  expires_at timestamptz(3) NOT NULL,
  CONSTRAINT published_snapshot_pkey PRIMARY KEY (id)
);

CREATE TABLE media (
  media_id text COLLATE "C" NOT NULL,
  sha256 bytea NOT NULL,
  uploader text COLLATE "C" NOT NULL,
  content_type text COLLATE "C" NOT NULL,
  file_name text COLLATE "C",
  size bigint NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT media_pkey PRIMARY KEY (media_id)
);
CREATE INDEX media_uploader_idx ON media (uploader);

CREATE TABLE call (
  call_id text COLLATE "C" NOT NULL,
  room_id text COLLATE "C" NOT NULL,
  caller text COLLATE "C" NOT NULL,
  caller_device text COLLATE "C" NOT NULL,
  callee text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL,
  accepted_user text COLLATE "C",
  accepted_device text COLLATE "C",
  created_at timestamptz(3) NOT NULL,
  expires_at timestamptz(3),
  ended_reason text COLLATE "C",
  CONSTRAINT call_pkey PRIMARY KEY (call_id)
);
CREATE INDEX call_room_id_state_idx ON call (room_id, state);

CREATE TABLE app_service (
  id text COLLATE "C" NOT NULL,
  url text COLLATE "C",
  as_token_hash bytea NOT NULL,
  hs_token text COLLATE "C" NOT NULL,
  sender_localpart text COLLATE "C" NOT NULL,
  registration text COLLATE "C" NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  lease_process text COLLATE "C",
  lease_until timestamptz(3),
  lease_number bigint NOT NULL DEFAULT 0,
  CONSTRAINT app_service_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX app_service_as_token_hash_key ON app_service (as_token_hash);

CREATE TABLE app_service_user (
  app_service_id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  CONSTRAINT app_service_user_pkey PRIMARY KEY (user_id, app_service_id)
);

CREATE TABLE app_service_room (
  app_service_id text COLLATE "C" NOT NULL,
  room_id text COLLATE "C" NOT NULL,
  reasons integer NOT NULL,
  CONSTRAINT app_service_room_pkey PRIMARY KEY (room_id, app_service_id)
);

CREATE TABLE app_service_queue (
  app_service_id text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  CONSTRAINT app_service_queue_pkey PRIMARY KEY (app_service_id, position)
);

CREATE TABLE app_service_transaction (
  app_service_id text COLLATE "C" NOT NULL,
  transaction_id bigint NOT NULL,
  body text COLLATE "C" NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT app_service_transaction_pkey PRIMARY KEY (app_service_id, transaction_id)
);
