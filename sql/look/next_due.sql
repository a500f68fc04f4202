-- When the next FAILED batch is due that is not due yet.
SELECT next_attempt_at
  FROM processing_batch_status
 WHERE status <> 'SUCCESS' AND status = 'FAILED' AND next_attempt_at > :now
 ORDER BY next_attempt_at
 LIMIT 1
