-- The total follows the backlog when it shrinks. Where it grows, row by row, record_arrives counts: one trigger less for each.
CREATE TRIGGER backlog_shrinks AFTER UPDATE OF records ON backlog
WHEN new.records < old.records
BEGIN
  UPDATE delivery_total SET unplanned = unplanned + new.records - old.records WHERE only_row = 1;
END
