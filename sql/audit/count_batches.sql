-- The records of each batch that are not delivered, counted one by one.
CREATE TEMP TABLE batch_count AS
SELECT batch_id,
       count(CASE place WHEN 'WAITING' THEN 1 END) AS waiting,
       count(CASE WHEN place <> 'WAITING' THEN 1 END) AS tried
  FROM record_place
 WHERE batch_id IS NOT NULL
 GROUP BY batch_id
