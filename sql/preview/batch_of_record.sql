-- The batch in the idempotency key of a record: NULL until it is planned, and when it cannot be told any more, because the
-- record may have been delivered as a late row, which leaves no trace but its batch.
SELECT CASE
  WHEN EXISTS (SELECT 1 FROM undelivered_record WHERE record_id = :record)
  THEN (SELECT batch_id FROM undelivered_record WHERE record_id = :record)
  WHEN NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = :record)
  THEN (SELECT b.id
          FROM user_record
          JOIN processing_batch_status AS b
            ON b.user_id = user_record.user_id AND b.start_id <= user_record.id AND b.end_id >= user_record.id
         WHERE user_record.id = :record AND b.kind = 'RANGE'
           AND (b.status <> 'SUCCESS' AND (b.sent_through IS NULL OR b.sent_through < user_record.id)
                OR NOT EXISTS (SELECT 1 FROM processing_batch_status AS late
                                WHERE late.user_id = b.user_id AND late.kind = 'LATE'
                                  AND late.start_id <= user_record.id AND late.end_id >= user_record.id)))
END
