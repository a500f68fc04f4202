-- The total follows each user. A row of user_cursor begins with zeros, and never goes. The row of delivery_total is named by
-- its key: for an UPDATE of all rows, even of one, SQLite builds a temporary table each time.
CREATE TRIGGER user_is_counted AFTER UPDATE OF success_batches, delivered, pending_batches, running_batches,
  failed_batches, dead_batches, resting_delivered, resting_left, retrying, unknown, dead ON user_cursor
BEGIN
  UPDATE delivery_total
     SET success_batches = success_batches + new.success_batches - old.success_batches,
         delivered = delivered + new.delivered - old.delivered,
         pending_batches = pending_batches + new.pending_batches - old.pending_batches,
         running_batches = running_batches + new.running_batches - old.running_batches,
         failed_batches = failed_batches + new.failed_batches - old.failed_batches,
         dead_batches = dead_batches + new.dead_batches - old.dead_batches,
         resting_delivered = resting_delivered + new.resting_delivered - old.resting_delivered,
         resting_left = resting_left + new.resting_left - old.resting_left,
         retrying = retrying + new.retrying - old.retrying,
         unknown = unknown + new.unknown - old.unknown,
         dead = dead + new.dead - old.dead
   WHERE only_row = 1;
END
