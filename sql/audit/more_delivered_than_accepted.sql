-- A record that counts as delivered, although no batch ever counted it, was passed over.
SELECT (held - accepted) || ' records count as delivered that no batch has delivered' AS found
  FROM (SELECT (SELECT coalesce(sum(delivered), 0) FROM user_count) AS held,
               (SELECT coalesce(sum(delivered_count), 0) FROM processing_batch_status)
               + (SELECT coalesce(sum(pruned_delivered), 0) FROM user_cursor) AS accepted)
 WHERE held > accepted
