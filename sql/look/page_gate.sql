-- Since when the gate is as it is, and when it may be probed.
SELECT since, probe_at FROM gate
