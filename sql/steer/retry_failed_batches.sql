-- FAILED batches of the target are due now.
UPDATE processing_batch_status
   SET next_attempt_at = :now
 WHERE status <> 'SUCCESS' AND status = 'FAILED'
   AND CASE :kind WHEN 'batch' THEN id = :number WHEN 'user' THEN user_id = :number ELSE :kind = 'failed' END
RETURNING id
