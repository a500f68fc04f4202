-- The latest time that the file was written at, as far as it says.
SELECT max(at)
  FROM (SELECT max(last_attempt_at) AS at FROM processing_batch_status WHERE status = 'SUCCESS'
        UNION ALL
        SELECT max(last_attempt_at) FROM processing_batch_status WHERE status IN ('FAILED', 'DEAD')
        UNION ALL
        SELECT created_at FROM processing_batch_status WHERE id = (SELECT max(id) FROM processing_batch_status)
        UNION ALL
        SELECT max(since) FROM backlog
        UNION ALL
        SELECT since FROM gate
        UNION ALL
        SELECT created_at FROM instance)
