-- The same numbers for one user.
SELECT waiting, delivered, retrying, unknown, dead FROM user_progress WHERE user_id = :user
