-- A record is sent under a second key only as a new row: below the cursor, in a batch of late rows, or for another user. Of a
-- batch that was pruned nobody knows any more what it was.
SELECT 'record ' || record || ' was accepted under ' || keys || ' keys' AS found
  FROM (SELECT a.record, count(*) AS keys,
               count(CASE WHEN b.id IS NULL OR b.kind = 'LATE' THEN 1 END) + count(DISTINCT CASE b.kind WHEN 'RANGE' THEN b.user_id END) AS explained
          FROM accepted AS a
          LEFT JOIN processing_batch_status AS b ON b.id = a.batch
         GROUP BY a.record)
 WHERE keys > 1 AND keys > explained
