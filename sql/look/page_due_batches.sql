-- The batches that are sent again next.
SELECT id, next_attempt_at
  FROM processing_batch_status
 WHERE status <> 'SUCCESS' AND status = 'FAILED'
 ORDER BY next_attempt_at
 LIMIT :batches
