-- The records of a batch that were in one request, all that are left of them: a part would use the key up for the rest. Or
-- those that were in none (NULL), as far as this attempt has to send them.
-- {columns} are the columns of the request.
SELECT user_record.id, undelivered_record.attempts{columns}
  FROM undelivered_record
  JOIN user_record ON user_record.id = undelivered_record.record_id
 WHERE undelivered_record.batch_id = :batch
   AND undelivered_record.state <> 'DEAD'
   AND (:chunk IS NOT NULL OR undelivered_record.tried_in < :attempt)
   AND undelivered_record.chunk IS :chunk
   AND undelivered_record.record_id BETWEEN :first AND :last
 ORDER BY undelivered_record.record_id
 LIMIT :records
