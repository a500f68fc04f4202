-- The record was not accepted. If its owner has deleted it by now, or inserted it anew, there is nothing to remember: the new
-- row stands in undelivered_record for another batch, is delivered already and left out, or, when a record was sent again
-- or late, has no row there any more.
INSERT INTO undelivered_record
       (record_id, user_id, batch_id, state, attempts, tried_in, chunk, http_status, error, first_seen_at, last_attempt_at)
SELECT id, user_id, :batch, :state, :attempts, :tried_in, :chunk, :http_status, :error, :now, :now
  FROM user_record
 WHERE id = :record AND user_id = :user
   AND NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = :record)
   AND (:first OR EXISTS (SELECT 1 FROM undelivered_record WHERE record_id = :record))
ON CONFLICT (record_id) DO UPDATE
   SET state = excluded.state, attempts = excluded.attempts, tried_in = excluded.tried_in, chunk = excluded.chunk,
       http_status = excluded.http_status, error = excluded.error, last_attempt_at = excluded.last_attempt_at
 WHERE batch_id = excluded.batch_id
