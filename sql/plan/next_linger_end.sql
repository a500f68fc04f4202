-- Since when the user waits whose short batch becomes ripe first.
SELECT min(since) FROM backlog WHERE :user IS NULL OR user_id = :user
