-- The same with every column.
SELECT u.*
  FROM failure CROSS JOIN undelivered AS u ON u.record_id = failure.record_id
 WHERE failure.rowid > :after AND failure.rowid <= :through
 ORDER BY failure.rowid
