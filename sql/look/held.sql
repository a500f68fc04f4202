-- Since when the gate is as it is, and when it is probed next.
SELECT since, probe_at FROM gate
