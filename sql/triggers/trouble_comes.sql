-- LATE rows are not counted: they wait like all others, in the backlog and then in their batch.
CREATE TRIGGER trouble_comes AFTER INSERT ON undelivered_record
WHEN new.state <> 'LATE'
BEGIN
  UPDATE user_cursor
     SET retrying = retrying + (new.state = 'RETRY'),
         unknown = unknown + (new.state = 'UNKNOWN'),
         dead = dead + (new.state = 'DEAD')
   WHERE user_id = new.user_id;
  UPDATE delivery_total SET userless = userless + 1 WHERE only_row = 1 AND new.user_id IS NULL;
END
