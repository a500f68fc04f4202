-- Each record of a batch is delivered, deleted, waits, or stands in undelivered_record. While the batch is under way its
-- deleted_count is not yet exact: the end of the attempt sets it right when a row was replaced, or deleted while it was sent.
SELECT 'batch ' || id || ' (' || status || ') of ' || batch_size || ' records: delivered ' || delivered_count
       || ', deleted ' || deleted_count || ', waiting ' || coalesce(waiting, 0) || ', tried ' || coalesce(tried, 0) AS found
  FROM processing_batch_status
  LEFT JOIN batch_count ON batch_id = id
  LEFT JOIN under_way USING (id)
 WHERE CASE WHEN under_way.id IS NULL
            THEN batch_size <> delivered_count + deleted_count + coalesce(waiting, 0) + coalesce(tried, 0)
            ELSE batch_size < delivered_count + coalesce(waiting, 0) + coalesce(tried, 0)
       END
