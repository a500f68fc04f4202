-- A batch counts where it stands. Not so for each record that a RUNNING batch delivers: this runs when an attempt begins
-- and ends. What SUCCESS batches add up to stays when they go: the views need not read them, and prune may drop them.
-- At rest is said with two comparisons, for IN with three words builds a temporary table each time.
CREATE TRIGGER batch_moves_on AFTER UPDATE OF status, deleted_count ON processing_batch_status
WHEN old.status <> new.status OR (old.deleted_count <> new.deleted_count AND new.status <> 'RUNNING')
BEGIN
  UPDATE user_cursor
     SET last_attempt_at = CASE WHEN old.status = 'RUNNING' AND new.status <> 'PENDING'
                                THEN new.last_attempt_at ELSE last_attempt_at END,
         success_batches = success_batches + (new.status = 'SUCCESS') - (old.status = 'SUCCESS'),
         delivered = delivered
           + (new.status = 'SUCCESS') * new.delivered_count - (old.status = 'SUCCESS') * old.delivered_count,
         deleted = deleted
           + (new.status = 'SUCCESS') * new.deleted_count - (old.status = 'SUCCESS') * old.deleted_count,
         pending_batches = pending_batches + (new.status = 'PENDING') - (old.status = 'PENDING'),
         running_batches = running_batches + (new.status = 'RUNNING') - (old.status = 'RUNNING'),
         failed_batches = failed_batches + (new.status = 'FAILED') - (old.status = 'FAILED'),
         dead_batches = dead_batches + (new.status = 'DEAD') - (old.status = 'DEAD'),
         resting_delivered = resting_delivered
           + (new.status <> 'RUNNING' AND new.status <> 'SUCCESS') * new.delivered_count
           - (old.status <> 'RUNNING' AND old.status <> 'SUCCESS') * old.delivered_count,
         resting_left = resting_left
           + (new.status <> 'RUNNING' AND new.status <> 'SUCCESS') * (new.batch_size - new.delivered_count - new.deleted_count)
           - (old.status <> 'RUNNING' AND old.status <> 'SUCCESS') * (old.batch_size - old.delivered_count - old.deleted_count)
   WHERE user_id = new.user_id;
END
