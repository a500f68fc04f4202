CREATE TRIGGER batch_is_planned AFTER INSERT ON processing_batch_status
BEGIN
  INSERT INTO user_cursor (user_id) VALUES (new.user_id) ON CONFLICT (user_id) DO NOTHING;
  UPDATE user_cursor
     SET success_batches = success_batches + (new.status = 'SUCCESS'),
         delivered = delivered + (new.status = 'SUCCESS') * new.delivered_count,
         deleted = deleted + (new.status = 'SUCCESS') * new.deleted_count,
         pending_batches = pending_batches + (new.status = 'PENDING'),
         running_batches = running_batches + (new.status = 'RUNNING'),
         failed_batches = failed_batches + (new.status = 'FAILED'),
         dead_batches = dead_batches + (new.status = 'DEAD'),
         resting_delivered = resting_delivered + (new.status <> 'RUNNING' AND new.status <> 'SUCCESS') * new.delivered_count,
         resting_left = resting_left
           + (new.status <> 'RUNNING' AND new.status <> 'SUCCESS') * (new.batch_size - new.delivered_count - new.deleted_count)
   WHERE user_id = new.user_id;
END
