-- How many were collected.
SELECT coalesce(max(rowid), 0) FROM failure
