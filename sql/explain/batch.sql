-- The batch whose range holds a record, else the last batch of late rows that may have held it.
SELECT id, batch_offset, kind, status, last_attempt_at, coalesce(sent_through >= :record, 0) AS sent
  FROM processing_batch_status
 WHERE user_id = :user AND start_id <= :record AND end_id >= :record
 ORDER BY kind = 'LATE', id DESC
 LIMIT 1
