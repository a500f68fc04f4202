CREATE TRIGGER ferryd_record_inserted AFTER INSERT ON user_record
BEGIN
  INSERT INTO record_arrival (id, user_id) VALUES (new.id, new.user_id);
END
