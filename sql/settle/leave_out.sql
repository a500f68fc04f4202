-- A late record was delivered whose id an open batch has yet to pass: that batch must not send it again. A row that was
-- inserted anew under its id while it was sent is another record, and must not be passed over.
INSERT INTO left_out (record_id, user_id)
SELECT id, user_id
  FROM user_record
 WHERE id = :record AND user_id = :user
   AND NOT EXISTS (SELECT 1 FROM undelivered_record WHERE record_id = :record)
   AND EXISTS (SELECT 1 FROM processing_batch_status
                WHERE id = (SELECT id FROM processing_batch_status
                             WHERE status <> 'SUCCESS' AND kind = 'RANGE' AND user_id = :user AND start_id <= :record
                             ORDER BY start_id DESC LIMIT 1)
                  AND end_id >= :record
                  AND (sent_through IS NULL OR sent_through < :record))
ON CONFLICT (record_id) DO NOTHING
