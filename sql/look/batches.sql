-- A page of batches, the newest first.
SELECT id, user_id, batch_offset, status, batch_size, delivered_count, deleted_count, retry_count,
       start_id, end_id, created_at, started_at, last_attempt_at, next_attempt_at,
       round(busy_ms / 1000.0, 3) AS seconds,
       CASE WHEN busy_ms > 0 THEN round(delivered_count * 1000.0 / busy_ms, 1) END AS records_per_second,
       error_message
  FROM processing_batch_status
 WHERE id < :below
   AND (:user IS NULL OR user_id = :user)
   AND (:status IS NULL OR status = :status)
 ORDER BY id DESC
 LIMIT :page
