INSERT INTO processing_batch_status
       (user_id, batch_offset, batch_size, kind, start_id, end_id, created_at, last_attempt_at)
VALUES (:user, :batch_offset, :batch_size, :kind, :start_id, :end_id, :now, :now)
