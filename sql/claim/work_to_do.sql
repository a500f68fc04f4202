-- Whether there is something to claim or to plan now.
SELECT EXISTS (SELECT 1 FROM processing_batch_status
                WHERE status <> 'SUCCESS' AND status = 'PENDING' AND (:user IS NULL OR user_id = :user))
    OR EXISTS (SELECT 1 FROM processing_batch_status
                WHERE status <> 'SUCCESS' AND status = 'FAILED' AND next_attempt_at <= :due
                  AND (:user IS NULL OR user_id = :user))
    OR EXISTS (SELECT 1 FROM backlog
                WHERE (records >= :batch_size OR since <= :ripe_before OR since > :future) AND (:user IS NULL OR user_id = :user))
