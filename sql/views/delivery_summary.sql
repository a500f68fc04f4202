-- One row: how many records and batches stand where, and whether sending is held.
CREATE VIEW delivery_summary AS
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
    SELECT coalesce(sum(records), 0) AS records, min(since) AS oldest FROM backlog),
  record AS (
    SELECT max(unplanned.records + resting_left + running.unsettled - retrying - unknown - dead, 0) AS waiting,
           total.delivered + resting_delivered + running.delivered AS delivered
      FROM delivery_total AS total, running, unplanned)
SELECT record.waiting AS waiting,
       record.delivered AS delivered,
       total.retrying AS retrying,
       total.unknown AS unknown,
       total.dead + total.userless AS dead,
       total.pending_batches AS pending_batches,
       total.running_batches AS running_batches,
       total.success_batches AS success_batches,
       total.failed_batches AS failed_batches,
       total.dead_batches AS dead_batches,
       (SELECT min(oldest)
          FROM (SELECT oldest FROM unplanned UNION ALL SELECT oldest FROM pending UNION ALL SELECT oldest FROM running)
         WHERE record.waiting > 0) AS oldest_waiting_at,
       gate.state AS gate,
       gate.reason AS gate_reason
  FROM delivery_total AS total, record, gate
