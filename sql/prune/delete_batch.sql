DELETE FROM processing_batch_status WHERE id = :batch AND status = 'SUCCESS'
