CREATE TRIGGER trouble_changes AFTER UPDATE OF state ON undelivered_record
WHEN old.state <> new.state
BEGIN
  UPDATE user_cursor
     SET retrying = retrying + (new.state = 'RETRY') - (old.state = 'RETRY'),
         unknown = unknown + (new.state = 'UNKNOWN') - (old.state = 'UNKNOWN'),
         dead = dead + (new.state = 'DEAD') - (old.state = 'DEAD')
   WHERE user_id = new.user_id;
END
