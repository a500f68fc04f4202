-- All users together. Gone: accepted by the API, and then pruned, or deleted, replaced or moved by the owner.
SELECT coalesce(sum(records), 0) AS records,
       coalesce(sum(delivered), 0) AS delivered,
       coalesce(sum(waiting), 0) AS waiting,
       coalesce(sum(retrying), 0) AS retrying,
       coalesce(sum(unknown), 0) AS unknown,
       coalesce(sum(dead), 0) AS dead,
       (SELECT coalesce(sum(delivered_count), 0) FROM processing_batch_status)
       + (SELECT coalesce(sum(pruned_delivered), 0) FROM user_cursor) - coalesce(sum(delivered), 0) AS gone,
       count(*) AS users
  FROM user_count
