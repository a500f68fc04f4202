-- The first record that this attempt has to send again, or that came in late, and the chunk that it belongs to.
SELECT record_id, chunk
  FROM undelivered_record
 WHERE batch_id = :batch AND record_id >= :from AND state <> 'DEAD' AND tried_in < :attempt
 ORDER BY record_id
 LIMIT 1
