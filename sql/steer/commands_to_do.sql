SELECT id, verb, target FROM command WHERE done_at IS NULL ORDER BY id LIMIT 100
