-- What is in a record.
SELECT * FROM user_record WHERE id = :record
