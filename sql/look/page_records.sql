-- Records of a batch that failed.
SELECT record_id, state, attempts, http_status, error
  FROM undelivered_record
 WHERE batch_id = :batch AND state <> 'LATE'
 ORDER BY record_id
 LIMIT :records
