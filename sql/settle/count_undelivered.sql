-- What the attempt leaves of the batch: records to send again, dead ones, and whether an operator asked for some of the former
-- meanwhile.
SELECT count(CASE WHEN state <> 'DEAD' THEN 1 END), count(CASE WHEN state = 'DEAD' THEN 1 END),
       count(CASE WHEN state <> 'DEAD' AND tried_in = -2 THEN 1 END) > 0
  FROM undelivered_record WHERE batch_id = :batch
