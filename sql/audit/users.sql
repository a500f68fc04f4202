-- The users with the most left to do.
SELECT CAST(user_id AS TEXT) AS name, records, delivered, waiting, retrying, unknown, dead,
       (SELECT coalesce(sum(delivered_count), 0) FROM processing_batch_status
         WHERE user_id = user_count.user_id)
       + coalesce((SELECT pruned_delivered FROM user_cursor WHERE user_id = user_count.user_id), 0) - delivered AS gone
  FROM user_count
 ORDER BY records - delivered DESC, user_id
 LIMIT :users
