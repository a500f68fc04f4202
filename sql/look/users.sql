-- The users with the most left to do.
SELECT user_id, waiting, delivered, retrying + unknown AS retrying, dead, success_batches, open_batches
  FROM user_progress
 ORDER BY waiting + retrying + unknown + dead DESC, user_id
 LIMIT :users
