UPDATE gate SET state = :state, reason = :reason, since = :now
