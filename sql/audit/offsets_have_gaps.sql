-- The batches of a user are numbered 0, 1, 2, …, and those that are not there any more were pruned.
SELECT 'user ' || user_id || ': ' || batches || ' batches are numbered ' || coalesce(low, 'none') || ' to ' || coalesce(high, 'none')
       || ', ' || coalesce(pruned_batches, 0) || ' were pruned, the next is ' || coalesce(next_offset, 'not known') AS found
  FROM (SELECT user_id, count(batch_offset) AS batches, min(batch_offset) AS low, max(batch_offset) AS high
          FROM (SELECT user_id, batch_offset FROM processing_batch_status UNION ALL SELECT user_id, NULL FROM user_cursor)
         GROUP BY user_id)
  LEFT JOIN user_cursor USING (user_id)
 WHERE next_offset IS NOT batches + pruned_batches OR low < 0 OR high >= next_offset
