SELECT u.state, u.reason, u.attempts, u.batch_id, u.next_attempt_at, b.status AS batch_status
  FROM undelivered AS u
  LEFT JOIN processing_batch_status AS b ON b.id = u.batch_id
 WHERE u.record_id = :record
