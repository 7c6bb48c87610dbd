-- Rooms that application services list for the networks that they bridge, apart from the rooms that are published here.

CREATE TABLE network_list (
  app_service_id text COLLATE "C" NOT NULL,
  -- As the service calls it.
  network_id text COLLATE "C" NOT NULL,
  room_id text COLLATE "C" NOT NULL,
  CONSTRAINT network_list_pkey PRIMARY KEY (app_service_id, network_id, room_id)
);

-- What a room's state tells of it, as `refresh_published` reads it.
CREATE FUNCTION told_of_room(in_room text)
  RETURNS TABLE (name text, topic text, avatar text, aliases text[]) LANGUAGE sql STABLE AS $$
  SELECT max(value #>> '{}') FILTER (WHERE type = 'm.room.name'),
    max(value #>> '{}') FILTER (WHERE type = 'm.room.topic'),
    max(value #>> '{}') FILTER (WHERE type = 'm.room.avatar'),
    coalesce(array_agg(value #>> '{}' ORDER BY n) FILTER (WHERE type = 'm.room.aliases'), '{}')
  FROM (VALUES
    ('m.room.name', '_', 'name'), ('m.room.topic', '_', 'topic'), ('m.room.avatar', '_', 'url'),
    ('m.room.aliases', (SELECT setting.value FROM server_setting AS setting WHERE setting.name = 'server_name'), 'aliases')
  ) AS wanted(type, state_key, key)
  CROSS JOIN LATERAL (
    SELECT event_id FROM current_state
    WHERE room_id = in_room AND current_state.type = wanted.type AND current_state.state_key = wanted.state_key LIMIT 1
  ) AS slot
  CROSS JOIN LATERAL (SELECT content::jsonb AS content FROM event WHERE event_id = slot.event_id LIMIT 1) AS set
  CROSS JOIN LATERAL jsonb_array_elements(
    CASE WHEN (jsonb_typeof(set.content -> key) = 'array') = (key = 'aliases')
      THEN CASE key WHEN 'aliases' THEN set.content -> key ELSE jsonb_build_array(set.content -> key) END
      ELSE '[]' END
  ) WITH ORDINALITY AS held(value, n)
  WHERE jsonb_typeof(value) = 'string' AND value <> '""'
$$;
