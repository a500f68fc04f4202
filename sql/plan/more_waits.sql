-- Whether a user has records left to plan, after a full batch.
SELECT EXISTS (SELECT 1 FROM undelivered_record WHERE user_id = :user AND state = 'LATE' AND batch_id IS NULL)
    OR EXISTS (SELECT 1 FROM user_record
                WHERE user_id = :user AND id > :planned_through
                  AND NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = user_record.id))
