-- Frees what no worker holds any more. Its place in the batch is kept, and it was not an attempt.
UPDATE processing_batch_status SET status = 'PENDING' WHERE status <> 'SUCCESS' AND status = 'RUNNING'
