SELECT user_id FROM user_record WHERE id = :record
