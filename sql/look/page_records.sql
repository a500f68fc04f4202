-- Dead records of a batch, or those that wait for a retry. Of a big batch only the first thousand are looked at.
SELECT u.record_id, u.user_id, u.batch_id, :due AS next_attempt_at, u.state, u.attempts, u.error
  FROM (SELECT record_id, state FROM undelivered_record
         WHERE batch_id = :batch AND state <> 'LATE'
         ORDER BY record_id LIMIT 1000) AS first
  JOIN undelivered_record AS u ON u.record_id = first.record_id
 WHERE (first.state = 'DEAD') = :dead
 ORDER BY first.record_id
 LIMIT :records
