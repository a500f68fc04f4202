-- SUCCESS batches that ended before a time, the oldest first, from behind the last that was looked at.
SELECT id, user_id, kind = 'LATE' AS late, start_id, end_id, last_attempt_at
  FROM processing_batch_status
 WHERE status = 'SUCCESS' AND last_attempt_at < :before
   AND (last_attempt_at, id) > (:after_time, :after_batch)
 ORDER BY last_attempt_at, id
 LIMIT :batches
