-- Notes whom an INSERT OR REPLACE is about to take away. Where the insert then does nothing (OR IGNORE, an upsert), the
-- note says what still is, and the row's departure removes it.
CREATE TRIGGER ferryd_record_replaced BEFORE INSERT ON user_record
WHEN EXISTS (SELECT 1 FROM user_record WHERE id = new.id)
BEGIN
  INSERT INTO replaced (only_row, id, user_id)
  SELECT 1, id, user_id FROM user_record WHERE id = new.id
  ON CONFLICT (only_row) DO UPDATE SET id = excluded.id, user_id = excluded.user_id;
END
