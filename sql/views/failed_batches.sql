CREATE VIEW failed_batches AS
-- FAILED and DEAD batches, newest first, with the due time and the error.
SELECT id, user_id, batch_offset, status, retry_count,
       batch_size, delivered_count, last_attempt_at, next_attempt_at, error_message
  FROM processing_batch_status
 WHERE status IN ('FAILED', 'DEAD')
 ORDER BY last_attempt_at DESC, id DESC
