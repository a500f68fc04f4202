-- Whether a batch of late rows that is open, or ended later, reaches into a range: it may have delivered some of its rows.
SELECT EXISTS (SELECT 1 FROM processing_batch_status
                WHERE kind = 'LATE' AND user_id = :user AND start_id <= :last AND end_id >= :first
                  AND (status <> 'SUCCESS' OR last_attempt_at >= :before))
