-- A delivered row that changes its id or user stays delivered; any other row leaves its old place and arrives at the new one.
CREATE TRIGGER ferryd_record_moved AFTER UPDATE OF id, user_id ON user_record
WHEN old.id <> new.id OR old.user_id IS NOT new.user_id
BEGIN
  -- UPDATE OR REPLACE took away whatever had the new id, without a delete trigger.
  INSERT INTO record_departure (id, user_id)
  SELECT record_id, user_id FROM undelivered_record WHERE record_id = new.id AND old.id <> new.id;
  DELETE FROM left_out WHERE record_id = new.id AND old.id <> new.id;

  INSERT INTO left_out (record_id, user_id)
  SELECT new.id, new.user_id
   WHERE EXISTS (SELECT 1 FROM left_out WHERE record_id = old.id)
      OR (EXISTS (SELECT 1 FROM user_cursor WHERE user_id = old.user_id AND planned_through >= old.id)
          AND NOT EXISTS (SELECT 1 FROM undelivered_record WHERE record_id = old.id)
          AND NOT EXISTS (SELECT 1 FROM processing_batch_status
                           WHERE id = (SELECT id FROM processing_batch_status
                                        WHERE status <> 'SUCCESS' AND kind = 'RANGE'
                                          AND user_id = old.user_id AND start_id <= old.id
                                        ORDER BY start_id DESC LIMIT 1)
                             AND end_id >= old.id
                             AND (sent_through IS NULL OR sent_through < old.id)))
  ON CONFLICT (record_id) DO UPDATE SET user_id = excluded.user_id;

  DELETE FROM left_out WHERE record_id = old.id AND old.id <> new.id;

  INSERT INTO record_departure (id, user_id)
  SELECT old.id, old.user_id WHERE NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = new.id);

  INSERT INTO record_arrival (id, user_id)
  SELECT new.id, new.user_id WHERE NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = new.id);
END
