-- One row: how many records and batches stand where, and whether sending is held.
CREATE VIEW delivery_summary AS
WITH
  finished AS (
    SELECT coalesce(sum(success_batches), 0) AS batches, coalesce(sum(delivered), 0) AS delivered
      FROM user_cursor),
  open_batch AS (
    SELECT count(CASE status WHEN 'PENDING' THEN 1 END) AS pending,
           count(CASE status WHEN 'RUNNING' THEN 1 END) AS running,
           count(CASE status WHEN 'FAILED' THEN 1 END) AS failed,
           count(CASE status WHEN 'DEAD' THEN 1 END) AS dead,
           coalesce(sum(delivered_count), 0) AS delivered,
           coalesce(sum(batch_size - delivered_count - deleted_count), 0) AS undelivered,
           min(CASE WHEN status IN ('PENDING', 'RUNNING') THEN created_at END) AS oldest
      FROM processing_batch_status WHERE status <> 'SUCCESS'),
  tried AS (
    SELECT count(CASE state WHEN 'RETRY' THEN 1 END) AS retrying,
           count(CASE state WHEN 'UNKNOWN' THEN 1 END) AS unknown,
           count(CASE state WHEN 'DEAD' THEN 1 END) AS dead,
           count(CASE WHEN state <> 'LATE' THEN batch_id END) AS in_batches
      FROM undelivered_record),
  unplanned AS (
    SELECT coalesce(sum(records), 0) AS records, min(since) AS oldest FROM backlog)
SELECT max(unplanned.records + open_batch.undelivered - tried.in_batches, 0) AS waiting,
       finished.delivered + open_batch.delivered AS delivered,
       tried.retrying AS retrying,
       tried.unknown AS unknown,
       tried.dead AS dead,
       open_batch.pending AS pending_batches,
       open_batch.running AS running_batches,
       finished.batches AS success_batches,
       open_batch.failed AS failed_batches,
       open_batch.dead AS dead_batches,
       CASE WHEN unplanned.records + open_batch.undelivered - tried.in_batches > 0
            THEN min(coalesce(unplanned.oldest, open_batch.oldest), coalesce(open_batch.oldest, unplanned.oldest))
       END AS oldest_waiting_at,
       gate.state AS gate,
       gate.reason AS gate_reason
  FROM finished, open_batch, tried, unplanned, gate
