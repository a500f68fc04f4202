-- One row a user: how far the user's records are.
CREATE VIEW user_progress AS
SELECT user_id,
       max(sum(waiting), 0) AS waiting,
       sum(delivered) AS delivered,
       sum(retrying) AS retrying,
       sum(unknown) AS unknown,
       sum(dead) AS dead,
       sum(success_batches) AS success_batches,
       sum(open_batches) AS open_batches,
       max(last_attempt_at) AS last_attempt_at
  FROM (
    SELECT user_id, records AS waiting, 0 AS delivered, 0 AS retrying, 0 AS unknown, 0 AS dead,
           0 AS success_batches, 0 AS open_batches, NULL AS last_attempt_at
      FROM backlog
    UNION ALL
    SELECT user_id, 0, delivered, 0, 0, 0, success_batches, 0, NULL
      FROM user_cursor
    UNION ALL
    SELECT user_id, batch_size - delivered_count - deleted_count, delivered_count, 0, 0, 0, 0, 1, last_attempt_at
      FROM processing_batch_status WHERE status <> 'SUCCESS'
    UNION ALL
    SELECT user_id, CASE WHEN state <> 'LATE' AND batch_id IS NOT NULL THEN -1 ELSE 0 END, 0,
           state = 'RETRY', state = 'UNKNOWN', state = 'DEAD', 0, 0, last_attempt_at
      FROM undelivered_record)
 GROUP BY user_id
