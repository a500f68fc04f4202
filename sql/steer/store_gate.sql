-- It is held since it was last open, however often it was probed or paused in between.
UPDATE gate
   SET since = CASE WHEN (state = 'open') = (:state = 'open') THEN since ELSE :now END,
       state = :state, reason = :reason, probe_at = :probe_at
