-- The records that failed, the newest first, as they are now. In a temporary file: memory stays small, and no transaction
-- of the database lasts for as long as somebody reads what is printed.
CREATE TEMP TABLE failure AS
SELECT record_id
  FROM undelivered_record
 WHERE (:user IS NULL OR user_id = :user)
   AND (:state IS NULL OR state = :state)
 ORDER BY coalesce(last_attempt_at, first_seen_at) DESC, record_id DESC
 LIMIT :limit
