-- Dead records, or those that wait for a retry, in whatever batch. Only the last few thousand of all are looked at.
SELECT u.record_id, u.user_id, u.batch_id, b.next_attempt_at, u.state, u.attempts, u.error
  FROM (SELECT record_id, state FROM undelivered_record ORDER BY record_id DESC LIMIT 5000) AS last
  JOIN undelivered_record AS u ON u.record_id = last.record_id
  JOIN processing_batch_status AS b ON b.id = u.batch_id
 WHERE last.state <> 'LATE' AND (last.state = 'DEAD') = :dead
 ORDER BY last.record_id DESC
 LIMIT :records
