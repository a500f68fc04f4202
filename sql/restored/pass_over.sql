-- The next batch gets a number that the lost file cannot have given to one.
UPDATE sqlite_sequence SET seq = seq + :numbers WHERE name = 'processing_batch_status'
