-- A probe in between does not make a closed gate closed anew.
UPDATE gate
   SET since = CASE WHEN state IN ('closed', 'probing') AND :state IN ('closed', 'probing') THEN since ELSE :now END,
       state = :state, reason = :reason, probe_at = :probe_at
