-- What user_cursor says that the SUCCESS batches add up to, against the batches; those that were pruned are in it too.
SELECT 'user ' || user_id || ': user_cursor differs from the SUCCESS batches by batches ' || sum(batches)
       || ', delivered ' || sum(delivered) || ', deleted ' || sum(deleted) AS found
  FROM (
    SELECT user_id, success_batches - pruned_batches AS batches, delivered - pruned_delivered AS delivered,
           deleted - pruned_deleted AS deleted
      FROM user_cursor
    UNION ALL
    SELECT user_id, -1, -delivered_count, -deleted_count FROM processing_batch_status WHERE status = 'SUCCESS')
 GROUP BY user_id
HAVING sum(batches) <> 0 OR sum(delivered) <> 0 OR sum(deleted) <> 0
