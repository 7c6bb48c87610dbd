-- Public keys that devices sign messages with. [ACT-13]

CREATE TABLE device_key (
  user_id text COLLATE "C" NOT NULL,
  device_id text COLLATE "C" NOT NULL,
  key_id text COLLATE "C" NOT NULL,
  public_key text COLLATE "C" NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT device_key_pkey PRIMARY KEY (user_id, key_id),
  CONSTRAINT device_key_user_id_device_id_fkey FOREIGN KEY (user_id, device_id) REFERENCES device (user_id, device_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX device_key_user_id_device_id_idx ON device_key (user_id, device_id);
