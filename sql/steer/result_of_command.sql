SELECT result FROM command WHERE id = :command AND done_at IS NOT NULL
