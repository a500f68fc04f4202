-- The attempt is over: every record was delivered, stands in undelivered_record, or was deleted by its owner.
UPDATE processing_batch_status
   SET status = :status,
       sent_through = CASE kind WHEN 'RANGE' THEN end_id END,
       retry_count = retry_count + (:status <> 'SUCCESS'),
       deleted_count = max(batch_size - delivered_count - :undelivered, 0),
       last_attempt_at = :now,
       next_attempt_at = :due,
       busy_ms = busy_ms + :busy_ms,
       error_message = :error_message
 WHERE id = :batch AND status = 'RUNNING' AND claim = :claim
