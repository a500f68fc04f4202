-- A LATE batch is the rows that name it.
UPDATE undelivered_record SET batch_id = :batch
 WHERE user_id = :user AND state = 'LATE' AND batch_id IS NULL AND record_id <= :end_id
