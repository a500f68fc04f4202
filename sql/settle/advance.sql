-- A record of the range was answered: the batch goes on behind it.
UPDATE processing_batch_status
   SET sent_through = :record, delivered_count = delivered_count + :delivered
 WHERE id = :batch AND status = 'RUNNING' AND claim = :claim
