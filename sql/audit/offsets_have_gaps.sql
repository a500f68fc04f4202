-- The batches of a user are numbered 0, 1, 2, …
SELECT 'user ' || user_id || ': ' || count(*) || ' batches are numbered ' || min(batch_offset) || ' to ' || max(batch_offset)
       || ', the next is ' || coalesce(next_offset, 'not known') AS found
  FROM processing_batch_status
  LEFT JOIN user_cursor USING (user_id)
 GROUP BY user_id
HAVING min(batch_offset) <> 0 OR max(batch_offset) <> count(*) - 1 OR next_offset IS NOT count(*)
