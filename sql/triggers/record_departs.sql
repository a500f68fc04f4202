CREATE TRIGGER record_departs INSTEAD OF INSERT ON record_departure
BEGIN
  -- It was waiting to be planned.
  UPDATE backlog SET records = max(records - 1, 0)
   WHERE user_id = new.user_id
     AND NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = new.id)
     AND (EXISTS (SELECT 1 FROM undelivered_record WHERE record_id = new.id AND state = 'LATE' AND batch_id IS NULL)
          OR NOT EXISTS (SELECT 1 FROM user_cursor WHERE user_id = new.user_id AND planned_through >= new.id));

  -- It belonged to a batch that had not sent it yet.
  UPDATE processing_batch_status SET deleted_count = deleted_count + 1
   WHERE id = (SELECT id FROM processing_batch_status
                WHERE status <> 'SUCCESS' AND kind = 'RANGE' AND user_id = new.user_id AND start_id <= new.id
                ORDER BY start_id DESC LIMIT 1)
     AND end_id >= new.id
     AND (sent_through IS NULL OR sent_through < new.id)
     AND NOT EXISTS (SELECT 1 FROM undelivered_record WHERE record_id = new.id)
     AND NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = new.id);

  -- It belonged to a batch that had tried it; the batch may have nothing left to do.
  UPDATE processing_batch_status SET deleted_count = deleted_count + 1
   WHERE id = (SELECT batch_id FROM undelivered_record WHERE record_id = new.id);
  UPDATE processing_batch_status SET status = 'SUCCESS', next_attempt_at = NULL, error_message = NULL
   WHERE id = (SELECT batch_id FROM undelivered_record WHERE record_id = new.id)
     AND status IN ('FAILED', 'DEAD') AND delivered_count + deleted_count >= batch_size;

  DELETE FROM undelivered_record WHERE record_id = new.id;
  DELETE FROM left_out WHERE record_id = new.id;
  DELETE FROM replaced WHERE id = new.id;
END
