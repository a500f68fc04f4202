CREATE VIEW user_progress AS
-- One row a user: how far the user's records are.
WITH running AS (
  SELECT user_id, sum(delivered_count) AS delivered, sum(batch_size - delivered_count - deleted_count) AS unsettled
    FROM processing_batch_status WHERE status <> 'SUCCESS' AND status = 'RUNNING'
   GROUP BY user_id)
SELECT c.user_id AS user_id,
       max(coalesce(b.records, 0) + c.resting_left + coalesce(r.unsettled, 0) - c.retrying - c.unknown - c.dead, 0) AS waiting, -- not sent at all yet
       c.delivered + c.resting_delivered + coalesce(r.delivered, 0) AS delivered, -- also those that are gone since
       c.retrying AS retrying, -- answered "try again"
       c.unknown AS unknown,   -- sent, but no answer seen
       c.dead AS dead,         -- not sent again
       c.success_batches AS success_batches, -- also those that were pruned
       c.pending_batches + c.running_batches + c.failed_batches + c.dead_batches AS open_batches,
       c.last_attempt_at AS last_attempt_at  -- end of the last attempt; NULL: none has ended
  FROM user_cursor AS c
  LEFT JOIN backlog AS b ON b.user_id = c.user_id
  LEFT JOIN running AS r ON r.user_id = c.user_id
UNION ALL
SELECT user_id, records, 0, 0, 0, 0, 0, 0, NULL
  FROM backlog WHERE NOT EXISTS (SELECT 1 FROM user_cursor WHERE user_id = backlog.user_id)
UNION ALL
SELECT NULL, 0, 0, 0, 0, userless, 0, 0, NULL
  FROM delivery_total WHERE userless > 0
