-- A record that was not sent yet: of an open batch, else one that is not planned; without any the first of the table.
SELECT coalesce(
  (SELECT user_record.id
     FROM processing_batch_status AS b
     JOIN user_record ON user_record.user_id = b.user_id AND user_record.id BETWEEN b.start_id AND b.end_id
    WHERE b.status <> 'SUCCESS' AND b.status IN ('PENDING', 'RUNNING') AND b.kind = 'RANGE'
      AND (b.sent_through IS NULL OR user_record.id > b.sent_through)
      AND NOT EXISTS (SELECT 1 FROM undelivered_record WHERE record_id = user_record.id)
      AND NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = user_record.id)
    LIMIT 1),
  (SELECT min(user_record.id)
     FROM user_record
    WHERE user_record.user_id = (SELECT min(user_id) FROM backlog)
      AND user_record.id >= coalesce((SELECT planned_through + 1 FROM user_cursor
                                       WHERE user_id = (SELECT min(user_id) FROM backlog)), -9223372036854775808)
      AND NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = user_record.id)),
  (SELECT min(record_id) FROM undelivered_record WHERE state = 'LATE'),
  (SELECT min(id) FROM user_record))
