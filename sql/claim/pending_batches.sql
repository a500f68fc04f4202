-- PENDING batches in the order of planning.
SELECT id
  FROM processing_batch_status
 WHERE status <> 'SUCCESS' AND status = 'PENDING' AND next_attempt_at IS NULL
   AND (:user IS NULL OR user_id = :user)
 ORDER BY id
 LIMIT :batches
