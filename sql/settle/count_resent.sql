-- Records that were sent again, or late, were answered; or none was, and the batch has but to be still this claim's.
UPDATE processing_batch_status
   SET delivered_count = delivered_count + :delivered
 WHERE id = :batch AND status = 'RUNNING' AND claim = :claim
