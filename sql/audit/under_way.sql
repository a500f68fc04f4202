-- Batches that an attempt has yet to end: those for a worker, and those that broke off before their last record.
CREATE TEMP VIEW under_way AS
SELECT id, user_id
  FROM processing_batch_status
 WHERE status <> 'SUCCESS'
   AND (status IN ('PENDING', 'RUNNING') OR (status = 'FAILED' AND kind = 'RANGE' AND sent_through IS NOT end_id))
