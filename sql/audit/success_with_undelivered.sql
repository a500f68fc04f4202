-- A SUCCESS batch leaves no record behind.
SELECT 'batch ' || b.id || ' is SUCCESS, but record ' || u.record_id || ' of it is ' || u.state AS found
  FROM undelivered_record AS u
  JOIN processing_batch_status AS b ON b.id = u.batch_id
 WHERE b.status = 'SUCCESS'
