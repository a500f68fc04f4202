-- Up to where a user's records are planned, and the number of the next batch.
SELECT planned_through, next_offset FROM user_cursor WHERE user_id = :user
