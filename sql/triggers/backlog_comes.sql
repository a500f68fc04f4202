-- The total follows the backlog. Rows of user_record come one by one: this is one lookup by key for each.
CREATE TRIGGER backlog_comes AFTER INSERT ON backlog
BEGIN
  UPDATE delivery_total SET unplanned = unplanned + new.records WHERE only_row = 1;
END
