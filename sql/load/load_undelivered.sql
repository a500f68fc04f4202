-- A page of a batch's records that this attempt has to send again, or that came in late.
-- {columns} are the columns of the request.
SELECT user_record.id, undelivered_record.attempts{columns}
  FROM undelivered_record
  JOIN user_record ON user_record.id = undelivered_record.record_id
 WHERE undelivered_record.batch_id = :batch
   AND undelivered_record.state <> 'DEAD'
   AND undelivered_record.tried_in < :attempt
   AND undelivered_record.record_id BETWEEN :first AND :last
 ORDER BY undelivered_record.record_id
 LIMIT :records
