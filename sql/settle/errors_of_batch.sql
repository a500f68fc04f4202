SELECT record_id, error
  FROM undelivered_record WHERE batch_id = :batch AND error IS NOT NULL
 ORDER BY record_id
