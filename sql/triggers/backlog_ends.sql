CREATE TRIGGER backlog_ends AFTER DELETE ON backlog
BEGIN
  UPDATE delivery_total SET unplanned = unplanned - old.records WHERE only_row = 1;
END
