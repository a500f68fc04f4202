-- Users whose turn it is to be planned: a full batch waits, or the first row has waited long enough. One that seems to have
-- come in the future was stamped by a wrong clock, and waits no longer.
SELECT user_id
  FROM backlog
 WHERE user_id >= :from
   AND (:user IS NULL OR user_id = :user)
   AND (records >= :batch_size OR since <= :ripe_before OR since > :future)
 ORDER BY user_id
 LIMIT :users
