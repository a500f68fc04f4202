-- A batch with records to send again is due now. One that waits for a worker, or has one, sends them in any case.
UPDATE processing_batch_status
   SET status = 'FAILED', next_attempt_at = :now
 WHERE id = :batch AND status IN ('FAILED', 'DEAD')
