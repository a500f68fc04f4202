-- Whether there is something to claim or to plan now. Short batches that linger are found by their time. To look for full ones
-- is to read all of the backlog, when there is none.
SELECT EXISTS (SELECT 1 FROM processing_batch_status
                WHERE status <> 'SUCCESS' AND status = 'PENDING' AND (:user IS NULL OR user_id = :user))
    OR EXISTS (SELECT 1 FROM processing_batch_status
                WHERE status <> 'SUCCESS' AND status = 'FAILED' AND next_attempt_at <= :due
                  AND (:user IS NULL OR user_id = :user))
    OR EXISTS (SELECT 1 FROM backlog WHERE since <= :ripe_before AND (:user IS NULL OR user_id = :user))
    OR EXISTS (SELECT 1 FROM backlog WHERE since > :future AND (:user IS NULL OR user_id = :user))
    OR (:full AND EXISTS (SELECT 1 FROM backlog WHERE records >= :batch_size AND (:user IS NULL OR user_id = :user)))
