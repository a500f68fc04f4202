-- Each record that is to be sent is on its way: its user is in the backlog, or its batch is still open.
SELECT 'record ' || p.id || ' is ' || p.place || ', but '
       || CASE WHEN b.id IS NULL THEN 'nothing will cut it into a batch' ELSE 'its batch ' || b.id || ' is ' || b.status END AS found
  FROM record_place AS p
  LEFT JOIN processing_batch_status AS b ON b.id = p.batch_id
 WHERE p.place IN ('WAITING', 'RETRY', 'UNKNOWN')
   AND CASE
         WHEN b.id IS NOT NULL THEN b.status IN ('SUCCESS', 'DEAD')
         ELSE p.place <> 'WAITING' OR NOT EXISTS (SELECT 1 FROM backlog WHERE user_id = p.user_id)
       END
