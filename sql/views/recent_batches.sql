CREATE VIEW recent_batches AS
-- The last 100 batches planned, with the time that workers spent on each.
SELECT id, user_id, batch_offset, status, batch_size, delivered_count, retry_count,
       created_at, last_attempt_at,
       round(busy_ms / 1000.0, 3) AS seconds, -- that workers spent on it
       CASE WHEN busy_ms > 0 THEN round(delivered_count * 1000.0 / busy_ms, 1) END AS records_per_second
  FROM processing_batch_status
 ORDER BY id DESC
 LIMIT 100
