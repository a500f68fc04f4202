-- A record that was sent again, or late, was answered.
UPDATE processing_batch_status
   SET delivered_count = delivered_count + :delivered
 WHERE id = :batch AND status = 'RUNNING' AND claim = :claim
