-- FAILED batches whose time has come, the longest waiting first.
SELECT id
  FROM processing_batch_status
 WHERE status <> 'SUCCESS' AND status = 'FAILED' AND next_attempt_at <= :due
   AND (:user IS NULL OR user_id = :user)
 ORDER BY next_attempt_at
 LIMIT :batches
