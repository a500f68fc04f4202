-- The attempt has answered all of the range.
DELETE FROM begun WHERE batch_id = :batch
