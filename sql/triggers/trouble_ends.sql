CREATE TRIGGER trouble_ends AFTER DELETE ON undelivered_record
WHEN old.state <> 'LATE'
BEGIN
  UPDATE user_cursor
     SET retrying = retrying - (old.state = 'RETRY'),
         unknown = unknown - (old.state = 'UNKNOWN'),
         dead = dead - (old.state = 'DEAD')
   WHERE user_id = old.user_id;
  UPDATE delivery_total SET userless = userless - 1 WHERE only_row = 1 AND old.user_id IS NULL;
END
