UPDATE gate SET state = :state, reason = :reason, since = :now, probe_at = :probe_at
