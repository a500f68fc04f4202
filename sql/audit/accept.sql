INSERT INTO accepted (record, batch) VALUES (:record, :batch)
ON CONFLICT (record, batch) DO UPDATE SET times = times + 1
