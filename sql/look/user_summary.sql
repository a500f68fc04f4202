-- The same numbers for one user.
SELECT waiting, delivered, retrying + unknown AS retrying, dead FROM user_progress WHERE user_id = :user
