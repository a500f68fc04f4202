-- The last thousand answers are kept.
DELETE FROM command WHERE done_at IS NOT NULL AND id <= :command - 1000
