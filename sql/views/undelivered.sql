CREATE VIEW undelivered AS
-- The records that are not simply waiting their turn, with the row's own columns and the reason in words.
SELECT u.record_id, u.state,
       CASE u.state
         WHEN 'LATE' THEN 'came in below an id that was already planned; waits for a batch of its own'
         WHEN 'RETRY' THEN 'will be sent again: ' || coalesce(u.error, 'no reason given')
         WHEN 'UNKNOWN' THEN 'no answer was seen, so it may have been accepted; will be sent again: ' || coalesce(u.error, 'no reason given')
         ELSE 'will not be sent again: ' || coalesce(u.error, 'no reason given')
       END AS reason,
       u.attempts, u.http_status, u.batch_id, b.next_attempt_at, u.first_seen_at, u.last_attempt_at,
       r.*
  FROM undelivered_record AS u
  LEFT JOIN user_record AS r ON r.id = u.record_id
  LEFT JOIN processing_batch_status AS b ON b.id = u.batch_id
