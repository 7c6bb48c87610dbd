-- How far the policy hook has reviewed the stream: one row, from the first start with a review on.
CREATE TABLE policy_review (
  id integer NOT NULL CHECK (id = 1),
  -- Everything up to here was reviewed.
  position bigint NOT NULL,
  -- The process whose turn it is and until when; null when nobody's. The number grows with each change of hands, so that
  -- a process that was away doesn't write over what the next one did.
  lease_process text COLLATE "C",
  lease_until timestamptz(3),
  lease_number bigint NOT NULL DEFAULT 0,
  CONSTRAINT policy_review_pkey PRIMARY KEY (id)
);
