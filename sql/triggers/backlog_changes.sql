CREATE TRIGGER backlog_changes AFTER UPDATE OF records ON backlog
BEGIN
  UPDATE delivery_total SET unplanned = unplanned + new.records - old.records WHERE only_row = 1;
END
