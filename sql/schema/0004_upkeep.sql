-- Schema 4. What `prune` takes away is counted, what waits to be planned is counted in one place, a restored copy says that
-- it is one, and what `status` and `prune` look for is found by an index.

ALTER TABLE instance
  ADD COLUMN backup_at /* in a copy that `ferryd backup` made: when; NULL: this is no copy */ TEXT;

ALTER TABLE instance
  ADD COLUMN restored_at /* when the copy was first worked on, and said so; NULL: not yet */ TEXT;

ALTER TABLE user_cursor
  ADD COLUMN pruned_batches /* SUCCESS batches that are deleted; success_batches counts them too */ INTEGER NOT NULL DEFAULT 0;

ALTER TABLE user_cursor
  ADD COLUMN pruned_delivered /* their delivered_count; delivered has it too */ INTEGER NOT NULL DEFAULT 0;

ALTER TABLE user_cursor
  ADD COLUMN pruned_deleted /* their deleted_count; deleted has it too */ INTEGER NOT NULL DEFAULT 0;

ALTER TABLE user_cursor
  ADD COLUMN unwatched_through /* up to here rows may have come while user_record had no triggers: prune keeps all; NULL: none */ INTEGER;

ALTER TABLE delivery_total
  ADD COLUMN unplanned /* what the rows of backlog add up to */ INTEGER NOT NULL DEFAULT 0;

ALTER TABLE delivery_total
  ADD COLUMN pruned_records /* delivered rows of user_record that prune has deleted */ INTEGER NOT NULL DEFAULT 0;

CREATE INDEX backlog_by_time ON backlog (since);

CREATE INDEX user_by_rest ON user_cursor (resting_left)
  WHERE resting_left > 0;

CREATE INDEX success_by_time ON processing_batch_status (last_attempt_at)
  WHERE status = 'SUCCESS';

CREATE INDEX late_batch_by_user ON processing_batch_status (user_id, start_id)
  WHERE kind = 'LATE';
