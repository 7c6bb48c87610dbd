-- Indexes that filters, relations and differences are read by. See docs/decisions/0005-reading.md.

-- A rare type in a room of a million events is found by one probe per type; the types of a room, by one per type too; and so for its senders and their types. [FIL-7]
CREATE INDEX event_type_order ON event (room_id, (state_key IS NULL), type, major, minor);
CREATE INDEX event_sender_order ON event (room_id, sender, (state_key IS NULL), type, major, minor);

-- Children by `updates`, in order. [UPD-1]
CREATE INDEX event_updates ON event (updates_id, major, minor) WHERE updates_id IS NOT NULL;

-- What changed older events since a position. [SYN-11]
CREATE INDEX event_changes ON event (room_id, position)
  WHERE updates_id IS NOT NULL OR redacts_id IS NOT NULL OR relates_to IS NOT NULL;

-- Out-of-order insertions since a position. [EVS-6]
CREATE INDEX event_inserted ON event (room_id, position) WHERE inserted_after_id IS NOT NULL;

-- State slots that changed since a position. [SYN-2]
CREATE INDEX current_state_room_id_position_idx ON current_state (room_id, position);

-- Children of all relation types, in order. [REL-1]
CREATE INDEX relation_parent_id_major_minor_idx ON relation (parent_id, major, minor);
