-- What the attempt leaves of the batch: records to send again, and dead ones.
SELECT count(CASE WHEN state <> 'DEAD' THEN 1 END), count(CASE WHEN state = 'DEAD' THEN 1 END)
  FROM undelivered_record WHERE batch_id = :batch
