-- The record was not accepted. If its owner has deleted it by now, or inserted it anew, there is nothing to remember.
INSERT INTO undelivered_record
       (record_id, user_id, batch_id, state, attempts, tried_in, http_status, error, first_seen_at, last_attempt_at)
SELECT id, user_id, :batch, :state, 1, :attempt, :http_status, :error, :now, :now
  FROM user_record WHERE id = :record AND user_id = :user
ON CONFLICT (record_id) DO UPDATE
   SET state = excluded.state, attempts = attempts + 1, tried_in = excluded.tried_in,
       http_status = excluded.http_status, error = excluded.error, last_attempt_at = excluded.last_attempt_at
 WHERE batch_id = excluded.batch_id
