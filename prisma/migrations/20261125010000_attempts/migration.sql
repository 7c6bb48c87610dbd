-- Attempts at passwords and registrations. A crash of the database forgets them, and everybody has their whole allowance again.
CREATE UNLOGGED TABLE attempt (
  key text COLLATE "C" NOT NULL,
  full_at timestamptz(3) NOT NULL,
  known_until timestamptz(3),
  CONSTRAINT attempt_pkey PRIMARY KEY (key)
);
CREATE INDEX attempt_full_at_idx ON attempt (full_at);
