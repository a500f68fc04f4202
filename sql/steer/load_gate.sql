SELECT state, reason, probe_at FROM gate
