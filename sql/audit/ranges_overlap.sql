-- The ranges of a user lie one behind the other, none above the cursor.
SELECT 'batch ' || id || ' of user ' || user_id || ' covers ' || start_id || ' to ' || end_id
       || ', the one before it ends at ' || coalesce(previous_end, 'no id') || ', the cursor stands at '
       || coalesce(planned_through, 'no id') AS found
  FROM (SELECT b.id, b.user_id, b.start_id, b.end_id, c.planned_through,
               lag(b.end_id) OVER (PARTITION BY b.user_id ORDER BY b.batch_offset) AS previous_end
          FROM processing_batch_status AS b
          LEFT JOIN user_cursor AS c ON c.user_id = b.user_id
         WHERE b.kind = 'RANGE')
 WHERE start_id > end_id OR start_id <= previous_end OR planned_through IS NULL OR end_id > planned_through
