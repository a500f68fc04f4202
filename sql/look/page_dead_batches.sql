-- The newest batches in which no record waits and some are dead.
SELECT id, next_attempt_at
  FROM processing_batch_status
 WHERE status <> 'SUCCESS' AND status = 'DEAD' AND next_attempt_at IS NULL
 ORDER BY id DESC
 LIMIT :batches
