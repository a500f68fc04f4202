-- Whether there is a batch of this id.
SELECT EXISTS (SELECT 1 FROM processing_batch_status WHERE id = :batch)
