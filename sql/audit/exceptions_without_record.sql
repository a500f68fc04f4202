-- What is remembered about a record goes away with it.
SELECT 'record ' || u.record_id || ' of user ' || coalesce(u.user_id, 'none') || ' is ' || u.state
       || ', but user_record has no such row' AS found
  FROM undelivered_record AS u
  LEFT JOIN user_record AS r ON r.id = u.record_id
 WHERE r.id IS NULL OR (typeof(r.user_id) = 'integer' AND u.user_id IS NOT r.user_id)
UNION ALL
SELECT 'record ' || l.record_id || ' is left out as delivered, but user_record has no such row'
  FROM left_out AS l
  LEFT JOIN user_record AS r ON r.id = l.record_id
 WHERE r.id IS NULL
