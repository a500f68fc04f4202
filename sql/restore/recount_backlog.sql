-- Rows came while the triggers were gone: what lies above the cursors is counted anew.
INSERT INTO backlog (user_id, records, since)
SELECT r.user_id, count(*), strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
  FROM user_record AS r
  LEFT JOIN user_cursor AS c ON c.user_id = r.user_id
 WHERE typeof(r.user_id) = 'integer'
   AND (c.planned_through IS NULL OR r.id > c.planned_through)
   AND NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = r.id)
 GROUP BY r.user_id
ON CONFLICT (user_id) DO UPDATE SET records = max(records, excluded.records)
