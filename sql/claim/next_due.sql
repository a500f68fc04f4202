-- When the next FAILED batch that is not due yet will be.
SELECT min(next_attempt_at)
  FROM processing_batch_status
 WHERE status <> 'SUCCESS' AND status = 'FAILED' AND next_attempt_at > :now
