-- The batch whose range holds a record, then the last batch of late rows that may have held it.
SELECT id, user_id, batch_offset, status, last_attempt_at,
       kind = 'LATE' AS late,
       kind = 'LATE' OR status = 'SUCCESS' OR coalesce(sent_through >= :record, 0) AS sent
  FROM processing_batch_status
 WHERE user_id = :user AND start_id <= :record AND end_id >= :record
 ORDER BY late, id DESC
 LIMIT 2
