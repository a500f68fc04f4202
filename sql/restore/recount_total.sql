-- All users together.
UPDATE delivery_total
   SET (success_batches, delivered, pending_batches, running_batches, failed_batches, dead_batches,
        resting_delivered, resting_left, retrying, unknown, dead, userless, unplanned)
     = (SELECT coalesce(sum(success_batches), 0), coalesce(sum(delivered), 0), coalesce(sum(pending_batches), 0),
               coalesce(sum(running_batches), 0), coalesce(sum(failed_batches), 0), coalesce(sum(dead_batches), 0),
               coalesce(sum(resting_delivered), 0), coalesce(sum(resting_left), 0), coalesce(sum(retrying), 0),
               coalesce(sum(unknown), 0), coalesce(sum(dead), 0),
               (SELECT count(*) FROM undelivered_record WHERE user_id IS NULL AND state <> 'LATE'),
               (SELECT coalesce(sum(records), 0) FROM backlog)
          FROM user_cursor)
