-- The batches that failed last.
SELECT id, user_id, batch_offset, status, retry_count, last_attempt_at, next_attempt_at, error_message
  FROM failed_batches
 LIMIT :batches
