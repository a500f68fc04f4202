INSERT INTO command (verb, target) VALUES (:verb, :target)
