-- A batch counts no record as delivered that was not accepted under its key.
SELECT 'batch ' || id || ' (' || status || ') counts ' || delivered_count || ' delivered records, the journal has '
       || coalesce(records, 0) AS found
  FROM processing_batch_status
  LEFT JOIN (SELECT batch, count(*) AS records FROM accepted GROUP BY batch) ON batch = id
 WHERE delivered_count > coalesce(records, 0)
