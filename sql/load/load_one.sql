-- One record, wherever it stands.
-- {columns} are the columns of the request.
SELECT id, 0{columns}
  FROM user_record
 WHERE id = :record
