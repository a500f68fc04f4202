-- What a SUCCESS batch has delivered stays counted when it goes; so is what went, for the audit.
CREATE TRIGGER batch_is_pruned AFTER DELETE ON processing_batch_status
BEGIN
  UPDATE user_cursor
     SET pruned_batches = pruned_batches + 1,
         pruned_delivered = pruned_delivered + old.delivered_count,
         pruned_deleted = pruned_deleted + old.deleted_count
   WHERE user_id = old.user_id;
END
