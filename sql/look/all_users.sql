-- The users with the most left to do, out of all. Rows whose user_id is no whole number have no user; the summary counts them as
-- dead.
SELECT user_id, waiting, delivered, retrying + unknown AS retrying, dead, success_batches, open_batches
  FROM user_progress
 WHERE user_id IS NOT NULL
 ORDER BY waiting + retrying + unknown + dead DESC, user_id
 LIMIT :users
