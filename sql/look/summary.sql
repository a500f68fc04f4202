SELECT waiting, delivered, retrying, unknown, dead,
       pending_batches, running_batches, success_batches, failed_batches, dead_batches,
       oldest_waiting_at, gate, gate_reason
  FROM delivery_summary
