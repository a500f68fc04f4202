-- Whether something is still to be planned or sent; with :retries also whether something waits for a retry. A command that
-- nobody has carried out yet may bring back what is dead.
SELECT EXISTS (SELECT 1 FROM backlog WHERE :user IS NULL OR user_id = :user)
    OR EXISTS (SELECT 1 FROM processing_batch_status
                WHERE status <> 'SUCCESS'
                  AND (status IN ('PENDING', 'RUNNING') OR (status = 'FAILED' AND (:retries OR next_attempt_at <= :due)))
                  AND (:user IS NULL OR user_id = :user))
    OR EXISTS (SELECT 1 FROM command WHERE done_at IS NULL)
