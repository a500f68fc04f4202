-- user_progress against the tables: what is left of each number when both are taken from one another. `waiting` is exact
-- for users of whom nothing is under way: a row that was replaced, or deleted while it was sent, is counted wrong until its
-- batch has ended.
SELECT 'user ' || user_id || ': user_progress differs from the tables by waiting ' || sum(waiting)
       || ', delivered ' || sum(delivered) || ', retrying ' || sum(retrying)
       || ', unknown ' || sum(unknown) || ', dead ' || sum(dead) AS found
  FROM (
    SELECT user_id, waiting, delivered, retrying, unknown, dead FROM user_progress WHERE user_id IS NOT NULL
    UNION ALL
    SELECT user_id, -waiting, 0, -retrying, -unknown, -dead FROM user_count WHERE typeof(user_id) = 'integer'
    UNION ALL
    SELECT user_id, 0, -delivered_count, 0, 0, 0 FROM processing_batch_status
    UNION ALL
    SELECT user_id, 0, -pruned_delivered, 0, 0, 0 FROM user_cursor)
 GROUP BY user_id
HAVING sum(waiting) <> 0
       AND user_id NOT IN (SELECT user_id FROM under_way)
       AND user_id NOT IN (SELECT user_id FROM backlog)
    OR sum(delivered) <> 0 OR sum(retrying) <> 0 OR sum(unknown) <> 0 OR sum(dead) <> 0
