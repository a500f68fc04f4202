-- A request for a stretch that none had touched is about to be sent: it is the same request whenever it is made again.
INSERT INTO begun (batch_id, chunk)
SELECT id, :chunk
  FROM processing_batch_status WHERE id = :batch AND status = 'RUNNING' AND claim = :claim
ON CONFLICT (batch_id) DO UPDATE SET chunk = excluded.chunk
