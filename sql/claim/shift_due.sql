-- The clock was set back while these waited: their due times move with it, so that no delay grows.
UPDATE processing_batch_status
   SET next_attempt_at = coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', next_attempt_at, :shift), :now)
 WHERE status <> 'SUCCESS' AND status = 'FAILED' AND next_attempt_at > :now
