-- SUCCESS is final, so the user's totals may take the batch in: the views need not read finished batches, and prune may drop them.
CREATE TRIGGER batch_succeeds AFTER UPDATE OF status ON processing_batch_status
WHEN new.status = 'SUCCESS' AND old.status <> 'SUCCESS'
BEGIN
  UPDATE user_cursor
     SET success_batches = success_batches + 1,
         delivered = delivered + new.delivered_count,
         deleted = deleted + new.deleted_count
   WHERE user_id = new.user_id;
  DELETE FROM left_out
   WHERE new.kind = 'RANGE' AND user_id = new.user_id AND record_id BETWEEN new.start_id AND new.end_id;
END
