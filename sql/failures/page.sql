-- Those of a page that are still not delivered, without the record's own columns.
SELECT u.record_id, u.user_id, u.state, u.reason, u.attempts, u.http_status, u.batch_id,
       u.next_attempt_at, u.first_seen_at, u.last_attempt_at
  FROM failure CROSS JOIN undelivered AS u ON u.record_id = failure.record_id
 WHERE failure.rowid > :after AND failure.rowid <= :through
 ORDER BY failure.rowid
