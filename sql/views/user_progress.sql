-- One row a user: how far the user's records are.
CREATE VIEW user_progress AS
WITH running AS (
  SELECT user_id, sum(delivered_count) AS delivered, sum(batch_size - delivered_count - deleted_count) AS unsettled
    FROM processing_batch_status WHERE status <> 'SUCCESS' AND status = 'RUNNING'
   GROUP BY user_id)
SELECT c.user_id AS user_id,
       max(coalesce(b.records, 0) + c.resting_left + coalesce(r.unsettled, 0) - c.retrying - c.unknown - c.dead, 0) AS waiting,
       c.delivered + c.resting_delivered + coalesce(r.delivered, 0) AS delivered,
       c.retrying AS retrying,
       c.unknown AS unknown,
       c.dead AS dead,
       c.success_batches AS success_batches,
       c.pending_batches + c.running_batches + c.failed_batches + c.dead_batches AS open_batches,
       c.last_attempt_at AS last_attempt_at
  FROM user_cursor AS c
  LEFT JOIN backlog AS b ON b.user_id = c.user_id
  LEFT JOIN running AS r ON r.user_id = c.user_id
UNION ALL
SELECT user_id, records, 0, 0, 0, 0, 0, 0, NULL
  FROM backlog WHERE NOT EXISTS (SELECT 1 FROM user_cursor WHERE user_id = backlog.user_id)
UNION ALL
SELECT NULL, 0, 0, 0, 0, userless, 0, 0, NULL
  FROM delivery_total WHERE userless > 0
