-- The next page of a user's records above the cursor.
SELECT count(*), min(id), max(id)
  FROM (SELECT id
          FROM user_record
         WHERE user_id = :user AND id >= :from
           AND NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = user_record.id)
         ORDER BY id
         LIMIT :batch_size)
