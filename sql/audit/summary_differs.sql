-- delivery_summary against the tables. For `waiting` see progress_differs.sql.
WITH
  user_total AS (
    SELECT coalesce(sum(waiting), 0) AS waiting, coalesce(sum(retrying), 0) AS retrying,
           coalesce(sum(unknown), 0) AS unknown, coalesce(sum(dead), 0) AS dead
      FROM user_count),
  batch_total AS (
    SELECT coalesce(sum(delivered_count), 0) + (SELECT coalesce(sum(pruned_delivered), 0) FROM user_cursor) AS delivered,
           count(CASE status WHEN 'PENDING' THEN 1 END) AS pending,
           count(CASE status WHEN 'RUNNING' THEN 1 END) AS running,
           count(CASE status WHEN 'SUCCESS' THEN 1 END) + (SELECT coalesce(sum(pruned_batches), 0) FROM user_cursor) AS success,
           count(CASE status WHEN 'FAILED' THEN 1 END) AS failed,
           count(CASE status WHEN 'DEAD' THEN 1 END) AS dead
      FROM processing_batch_status),
  compared (name, said, held) AS (
    SELECT 'waiting', s.waiting, u.waiting FROM delivery_summary AS s, user_total AS u
    UNION ALL SELECT 'retrying', s.retrying, u.retrying FROM delivery_summary AS s, user_total AS u
    UNION ALL SELECT 'unknown', s.unknown, u.unknown FROM delivery_summary AS s, user_total AS u
    UNION ALL SELECT 'dead', s.dead, u.dead FROM delivery_summary AS s, user_total AS u
    UNION ALL SELECT 'delivered', s.delivered, b.delivered FROM delivery_summary AS s, batch_total AS b
    UNION ALL SELECT 'pending_batches', s.pending_batches, b.pending FROM delivery_summary AS s, batch_total AS b
    UNION ALL SELECT 'running_batches', s.running_batches, b.running FROM delivery_summary AS s, batch_total AS b
    UNION ALL SELECT 'success_batches', s.success_batches, b.success FROM delivery_summary AS s, batch_total AS b
    UNION ALL SELECT 'failed_batches', s.failed_batches, b.failed FROM delivery_summary AS s, batch_total AS b
    UNION ALL SELECT 'dead_batches', s.dead_batches, b.dead FROM delivery_summary AS s, batch_total AS b)
SELECT 'delivery_summary.' || name || ' is ' || said || ', the tables hold ' || held AS found
  FROM compared
 WHERE said IS NOT held
   AND NOT (name = 'waiting' AND (EXISTS (SELECT 1 FROM under_way) OR EXISTS (SELECT 1 FROM backlog)))
