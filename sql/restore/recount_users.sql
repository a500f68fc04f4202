-- What stands open, counted from the tables. What the SUCCESS batches add up to is not touched: they may be gone.
INSERT INTO user_cursor (user_id, pending_batches, running_batches, failed_batches, dead_batches,
                         resting_delivered, resting_left, retrying, unknown, dead)
SELECT user_id, sum(status = 'PENDING'), sum(status = 'RUNNING'), sum(status = 'FAILED'), sum(status = 'DEAD'),
       sum((status IN ('PENDING', 'FAILED', 'DEAD')) * delivered),
       sum((status IN ('PENDING', 'FAILED', 'DEAD')) * unsettled),
       sum(state = 'RETRY'), sum(state = 'UNKNOWN'), sum(state = 'DEAD')
  FROM (
    SELECT user_id, status, delivered_count AS delivered, batch_size - delivered_count - deleted_count AS unsettled,
           '' AS state
      FROM processing_batch_status WHERE status <> 'SUCCESS'
    UNION ALL
    SELECT user_id, '', 0, 0, state FROM undelivered_record WHERE user_id IS NOT NULL AND state <> 'LATE'
    UNION ALL
    SELECT user_id, '', 0, 0, '' FROM user_cursor)
 GROUP BY user_id
ON CONFLICT (user_id) DO UPDATE
   SET pending_batches = excluded.pending_batches,
       running_batches = excluded.running_batches,
       failed_batches = excluded.failed_batches,
       dead_batches = excluded.dead_batches,
       resting_delivered = excluded.resting_delivered,
       resting_left = excluded.resting_left,
       retrying = excluded.retrying,
       unknown = excluded.unknown,
       dead = excluded.dead
