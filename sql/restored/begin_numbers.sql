-- A file without any batch yet has no number to go on from.
INSERT INTO sqlite_sequence (name, seq)
SELECT 'processing_batch_status', 0
 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'processing_batch_status')
