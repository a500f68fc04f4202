-- What user_cursor says that stands open, against the batches and undelivered_record.
SELECT 'user ' || user_id || ': user_cursor differs from the tables by batches pending ' || sum(pending)
       || ', running ' || sum(running) || ', failed ' || sum(failed) || ', dead ' || sum(dead_batches)
       || '; of those at rest, records delivered ' || sum(delivered) || ', left ' || sum(unsettled)
       || '; records retrying ' || sum(retrying) || ', unknown ' || sum(unknown) || ', dead ' || sum(dead) AS found
  FROM (
    SELECT user_id, pending_batches AS pending, running_batches AS running, failed_batches AS failed, dead_batches,
           resting_delivered AS delivered, resting_left AS unsettled, retrying, unknown, dead
      FROM user_cursor
    UNION ALL
    SELECT user_id, -(status = 'PENDING'), -(status = 'RUNNING'), -(status = 'FAILED'), -(status = 'DEAD'),
           -(status <> 'RUNNING') * delivered_count,
           -(status <> 'RUNNING') * (batch_size - delivered_count - deleted_count), 0, 0, 0
      FROM processing_batch_status WHERE status <> 'SUCCESS'
    UNION ALL
    SELECT user_id, 0, 0, 0, 0, 0, 0, -(state = 'RETRY'), -(state = 'UNKNOWN'), -(state = 'DEAD')
      FROM undelivered_record WHERE user_id IS NOT NULL)
 GROUP BY user_id
HAVING sum(pending) <> 0 OR sum(running) <> 0 OR sum(failed) <> 0 OR sum(dead_batches) <> 0
    OR sum(delivered) <> 0 OR sum(unsettled) <> 0 OR sum(retrying) <> 0 OR sum(unknown) <> 0 OR sum(dead) <> 0
