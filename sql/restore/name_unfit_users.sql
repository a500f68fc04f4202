-- Rows came while the triggers were gone: those that belong to no user are dead.
INSERT INTO undelivered_record (record_id, state, error, first_seen_at)
SELECT id, 'DEAD', 'user_id is not a whole number', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
  FROM user_record WHERE typeof(user_id) <> 'integer'
ON CONFLICT (record_id) DO NOTHING
