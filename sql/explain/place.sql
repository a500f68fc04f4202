-- Whether a record was cut into a batch, and whether it was left out of its range because it had been delivered.
SELECT EXISTS (SELECT 1 FROM user_cursor WHERE user_id = :user AND planned_through >= :record),
       EXISTS (SELECT 1 FROM left_out WHERE record_id = :record)
