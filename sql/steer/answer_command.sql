UPDATE command SET done_at = :now, result = :result WHERE id = :command
