-- A due time that no delay could have set was set by a wrong clock: the batch is due now.
UPDATE processing_batch_status SET next_attempt_at = :now
 WHERE status <> 'SUCCESS' AND status = 'FAILED' AND next_attempt_at > :latest
