CREATE VIEW delivery_summary AS
-- One row: how many records and batches stand where, and whether sending is held.
WITH
  running AS (
    SELECT coalesce(sum(delivered_count), 0) AS delivered,
           coalesce(sum(batch_size - delivered_count - deleted_count), 0) AS unsettled,
           min(created_at) AS oldest
      FROM processing_batch_status WHERE status <> 'SUCCESS' AND status = 'RUNNING'),
  pending AS (
    -- The first that was planned.
    SELECT (SELECT created_at FROM processing_batch_status
             WHERE status <> 'SUCCESS' AND status = 'PENDING' AND next_attempt_at IS NULL
             ORDER BY id LIMIT 1) AS oldest),
  unplanned AS (
    SELECT min(since) AS oldest FROM backlog),
  record AS (
    SELECT max(total.unplanned + resting_left + running.unsettled - retrying - unknown - dead, 0) AS waiting,
           total.delivered + resting_delivered + running.delivered AS delivered
      FROM delivery_total AS total, running)
SELECT record.waiting AS waiting,                -- records not sent at all yet
       record.delivered AS delivered,            -- accepted by the API, also those that are gone since
       total.retrying AS retrying,               -- answered "try again"
       total.unknown AS unknown,                 -- sent, but no answer seen; will be sent again
       total.dead + total.userless AS dead,      -- not sent again unless an operator says so
       total.pending_batches AS pending_batches, -- wait for a worker
       total.running_batches AS running_batches, -- have one, or are on the way to one
       total.success_batches AS success_batches, -- done, also those that were pruned
       total.failed_batches AS failed_batches,   -- wait for a retry
       total.dead_batches AS dead_batches,       -- hold dead records, and nothing waits
       -- Since when the record waits that has waited longest; NULL: none waits.
       (SELECT min(oldest)
          FROM (SELECT oldest FROM unplanned UNION ALL SELECT oldest FROM pending UNION ALL SELECT oldest FROM running)
         WHERE record.waiting > 0) AS oldest_waiting_at,
       gate.state AS gate,                       -- open, closed, probing or paused
       gate.reason AS gate_reason                -- why it is not open
  FROM delivery_total AS total, record, gate
