-- Accounts that an admin shut. Their name stays taken, and so do their rooms and messages.
ALTER TABLE account
  ADD COLUMN deactivated_at timestamptz(3),
  ADD COLUMN deactivation_reason text COLLATE "C";
