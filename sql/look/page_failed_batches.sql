-- The batches that failed last; some of their records may be dead.
SELECT id, user_id, next_attempt_at
  FROM processing_batch_status
 WHERE status IN ('FAILED', 'DEAD')
 ORDER BY last_attempt_at DESC
 LIMIT :batches
