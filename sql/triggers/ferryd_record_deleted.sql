CREATE TRIGGER ferryd_record_deleted AFTER DELETE ON user_record
BEGIN
  INSERT INTO record_departure (id, user_id) VALUES (old.id, old.user_id);
END
