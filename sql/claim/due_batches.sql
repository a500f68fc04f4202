-- FAILED batches whose time has come, the longest waiting first. A due time that no delay could have set comes from a clock
-- that was wrong, and counts as now.
SELECT id
  FROM processing_batch_status
 WHERE status <> 'SUCCESS' AND status = 'FAILED' AND (next_attempt_at <= :due OR next_attempt_at > :latest)
   AND (:user IS NULL OR user_id = :user)
 ORDER BY next_attempt_at
 LIMIT :batches
