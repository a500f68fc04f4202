-- The attempt broke off inside ferryd: the batch keeps its place and is due again later.
UPDATE processing_batch_status
   SET status = 'FAILED', retry_count = retry_count + 1, last_attempt_at = :now, next_attempt_at = :due
 WHERE id = :batch AND status = 'RUNNING' AND claim = :claim
