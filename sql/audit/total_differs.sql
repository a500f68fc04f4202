-- delivery_total against user_cursor and the backlog, and against the rows that belong to no user.
WITH
  user_total AS (
    SELECT total(success_batches) AS success, total(delivered) AS delivered, total(pending_batches) AS pending,
           total(running_batches) AS running, total(failed_batches) AS failed, total(dead_batches) AS dead_batches,
           total(resting_delivered) AS resting_delivered, total(resting_left) AS resting_left,
           total(retrying) AS retrying, total(unknown) AS unknown, total(dead) AS dead,
           (SELECT count(*) FROM undelivered_record WHERE user_id IS NULL AND state <> 'LATE') AS userless,
           (SELECT total(records) FROM backlog) AS unplanned
      FROM user_cursor),
  compared (name, said, held) AS (
    SELECT 'success_batches', t.success_batches, u.success FROM delivery_total AS t, user_total AS u
    UNION ALL SELECT 'delivered', t.delivered, u.delivered FROM delivery_total AS t, user_total AS u
    UNION ALL SELECT 'pending_batches', t.pending_batches, u.pending FROM delivery_total AS t, user_total AS u
    UNION ALL SELECT 'running_batches', t.running_batches, u.running FROM delivery_total AS t, user_total AS u
    UNION ALL SELECT 'failed_batches', t.failed_batches, u.failed FROM delivery_total AS t, user_total AS u
    UNION ALL SELECT 'dead_batches', t.dead_batches, u.dead_batches FROM delivery_total AS t, user_total AS u
    UNION ALL SELECT 'resting_delivered', t.resting_delivered, u.resting_delivered FROM delivery_total AS t, user_total AS u
    UNION ALL SELECT 'resting_left', t.resting_left, u.resting_left FROM delivery_total AS t, user_total AS u
    UNION ALL SELECT 'retrying', t.retrying, u.retrying FROM delivery_total AS t, user_total AS u
    UNION ALL SELECT 'unknown', t.unknown, u.unknown FROM delivery_total AS t, user_total AS u
    UNION ALL SELECT 'dead', t.dead, u.dead FROM delivery_total AS t, user_total AS u
    UNION ALL SELECT 'userless', t.userless, u.userless FROM delivery_total AS t, user_total AS u
    UNION ALL SELECT 'unplanned', t.unplanned, u.unplanned FROM delivery_total AS t, user_total AS u)
SELECT 'delivery_total.' || name || ' is ' || said || ', the tables add up to ' || CAST(held AS INTEGER) AS found
  FROM compared
 WHERE said <> held
