-- When the next FAILED batch that is not due yet will be, and when the last one.
SELECT min(next_attempt_at), max(next_attempt_at)
  FROM processing_batch_status
 WHERE status <> 'SUCCESS' AND status = 'FAILED' AND next_attempt_at > :now
