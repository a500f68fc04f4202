-- The batch belongs to one worker from here on; the new claim number shuts out every earlier one.
UPDATE processing_batch_status
   SET status = 'RUNNING', claim = claim + 1, started_at = :now, next_attempt_at = NULL
 WHERE id = :batch AND status IN ('PENDING', 'FAILED')
RETURNING claim, user_id, batch_offset, retry_count, kind, start_id, end_id, sent_through,
          (SELECT chunk FROM begun WHERE batch_id = processing_batch_status.id) AS begun
