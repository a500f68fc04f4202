CREATE TRIGGER record_arrives INSTEAD OF INSERT ON record_arrival
BEGIN
  -- INSERT OR REPLACE deletes the old row without a delete trigger: it departs here, and so does what is left of a row
  -- of this id that went away because of another column of the owner's.
  INSERT INTO record_departure (id, user_id)
  SELECT id, user_id FROM replaced WHERE id = new.id;
  INSERT INTO record_departure (id, user_id)
  SELECT record_id, user_id FROM undelivered_record WHERE record_id = new.id;
  DELETE FROM left_out WHERE record_id = new.id;

  -- At or below the cursor the ids are cut into batches already: the row waits for a batch of its own.
  INSERT INTO undelivered_record (record_id, user_id, state, first_seen_at)
  SELECT new.id, new.user_id, 'LATE', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    FROM user_cursor WHERE user_id = new.user_id AND planned_through >= new.id;

  INSERT INTO backlog (user_id, records, since)
  SELECT new.user_id, 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE typeof(new.user_id) = 'integer'
  ON CONFLICT (user_id) DO UPDATE SET records = records + 1;
  UPDATE delivery_total SET unplanned = unplanned + 1 WHERE only_row = 1 AND typeof(new.user_id) = 'integer';

  INSERT INTO undelivered_record (record_id, state, error, first_seen_at)
  SELECT new.id, 'DEAD', 'user_id is not a whole number', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
   WHERE typeof(new.user_id) <> 'integer';
END
