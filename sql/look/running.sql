-- The batches that a worker has, or that are on the way to one, the longest first.
SELECT id, user_id, delivered_count, batch_size, started_at
  FROM processing_batch_status
 WHERE status <> 'SUCCESS' AND status = 'RUNNING'
 ORDER BY started_at, id
 LIMIT :batches
