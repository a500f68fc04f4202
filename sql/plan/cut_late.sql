-- The next page of a user's rows that came in below the cursor.
SELECT count(*), min(record_id), max(record_id)
  FROM (SELECT record_id
          FROM undelivered_record
         WHERE user_id = :user AND state = 'LATE' AND batch_id IS NULL
         ORDER BY record_id
         LIMIT :batch_size)
