-- Whether something is still to be planned or sent; with :retries also whether something waits for a retry.
SELECT EXISTS (SELECT 1 FROM backlog WHERE :user IS NULL OR user_id = :user)
    OR EXISTS (SELECT 1 FROM processing_batch_status
                WHERE status <> 'SUCCESS'
                  AND (status IN ('PENDING', 'RUNNING') OR (status = 'FAILED' AND (:retries OR next_attempt_at <= :due)))
                  AND (:user IS NULL OR user_id = :user))
