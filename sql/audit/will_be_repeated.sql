-- Accepted, but a kill, a lost answer or a cut connection kept the file from knowing: sent again with the same key.
SELECT count(*)
  FROM record_place AS p
  JOIN accepted AS a ON a.record = p.id AND a.batch = p.batch_id
 WHERE p.place <> 'DELIVERED'
