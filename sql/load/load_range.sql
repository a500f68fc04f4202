-- A page of a batch's records that no attempt has reached: those that stand in undelivered_record have their own way.
-- {columns} are the columns of the request.
SELECT id, 0{columns}
  FROM user_record
 WHERE user_id = :user AND id BETWEEN :first AND :last
   AND NOT EXISTS (SELECT 1 FROM undelivered_record WHERE record_id = user_record.id)
   AND NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = user_record.id)
 ORDER BY id
 LIMIT :records
