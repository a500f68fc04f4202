-- What a batch's user has, if nothing of it is left to send.
SELECT c.delivered + c.resting_delivered, c.dead, c.success_batches + c.dead_batches
  FROM user_cursor AS c
 WHERE c.user_id = (SELECT user_id FROM processing_batch_status WHERE id = :batch)
   AND c.pending_batches = 0 AND c.running_batches = 0 AND c.failed_batches = 0
   AND NOT EXISTS (SELECT 1 FROM backlog WHERE user_id = c.user_id)
