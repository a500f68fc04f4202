-- The users with the most left to do, as user_progress counts it. To read them all takes long where there are a million: looked
-- at are those with the most in batches, those of whom a batch is running, those who wait longest to be planned, and of the
-- first 20,000 who do those with the most. Where there are few, others fill up. Rows whose user_id is no whole number have no
-- user; the summary counts them as dead.
WITH
  running AS (
    SELECT user_id, sum(delivered_count) AS delivered, sum(batch_size - delivered_count - deleted_count) AS unsettled
      FROM processing_batch_status WHERE status <> 'SUCCESS' AND status = 'RUNNING'
     GROUP BY user_id),
  looked_at AS (
    SELECT user_id FROM (SELECT user_id FROM user_cursor WHERE resting_left > 0 ORDER BY resting_left DESC LIMIT :users)
    UNION
    SELECT user_id FROM running
    UNION
    SELECT user_id FROM (SELECT user_id FROM backlog ORDER BY since LIMIT :users)
    UNION
    SELECT user_id
      FROM (SELECT b.user_id
              FROM (SELECT user_id, records FROM backlog LIMIT 20000) AS b
              LEFT JOIN user_cursor AS c ON c.user_id = b.user_id
             ORDER BY b.records + coalesce(c.resting_left, 0) DESC LIMIT :users)
    UNION
    SELECT user_id FROM (SELECT user_id FROM user_cursor ORDER BY user_id LIMIT :users)),
  counted AS (
    SELECT l.user_id,
           coalesce(b.records, 0) + coalesce(c.resting_left, 0) + coalesce(r.unsettled, 0) AS unsettled,
           coalesce(c.retrying, 0) + coalesce(c.unknown, 0) AS retrying,
           coalesce(c.dead, 0) AS dead,
           coalesce(c.delivered, 0) + coalesce(c.resting_delivered, 0) + coalesce(r.delivered, 0) AS delivered,
           coalesce(c.success_batches, 0) AS success_batches,
           coalesce(c.pending_batches + c.running_batches + c.failed_batches + c.dead_batches, 0) AS open_batches
      FROM looked_at AS l
      LEFT JOIN user_cursor AS c ON c.user_id = l.user_id
      LEFT JOIN backlog AS b ON b.user_id = l.user_id
      LEFT JOIN running AS r ON r.user_id = l.user_id)
SELECT user_id, max(unsettled - retrying - dead, 0) AS waiting, delivered, retrying, dead, success_batches, open_batches
  FROM counted
 ORDER BY max(unsettled, retrying + dead) DESC, user_id
 LIMIT :users
