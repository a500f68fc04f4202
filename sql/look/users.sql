-- The users with the most left to do. To read them all takes long where there are a million: looked at are those with the most
-- in batches, those of whom a batch is running, the longest waiting, and of the first 20,000 that wait to be planned those with
-- the most. Where there are few, others fill up. Rows whose user_id is no whole number have no user; the summary counts them as dead.
WITH looked_at AS (
  SELECT user_id FROM (SELECT user_id FROM user_cursor WHERE resting_left > 0 ORDER BY resting_left DESC LIMIT :users)
  UNION
  SELECT user_id FROM processing_batch_status WHERE status <> 'SUCCESS' AND status = 'RUNNING'
  UNION
  SELECT user_id FROM (SELECT user_id FROM backlog ORDER BY since LIMIT :users)
  UNION
  SELECT user_id
    FROM (SELECT b.user_id
            FROM (SELECT user_id, records FROM backlog LIMIT 20000) AS b
            LEFT JOIN user_cursor AS c ON c.user_id = b.user_id
           ORDER BY b.records + coalesce(c.resting_left, 0) DESC LIMIT :users)
  UNION
  SELECT user_id FROM (SELECT user_id FROM user_cursor ORDER BY user_id LIMIT :users))
SELECT p.user_id, waiting, delivered, retrying + unknown AS retrying, dead, success_batches, open_batches
  FROM looked_at CROSS JOIN user_progress AS p ON p.user_id = looked_at.user_id
 ORDER BY waiting + retrying + unknown + dead DESC, p.user_id
 LIMIT :users
