-- Records that were tried are sent again; a dead one gets all of its attempts anew. In bulk mode what was one request stays
-- one: a part of it would use the key up for the rest. A batch that is under way may have passed them: -2 says that they are
-- due as soon as that attempt has ended.
UPDATE undelivered_record
   SET attempts = CASE state WHEN 'DEAD' THEN 0 ELSE attempts END,
       state = CASE state WHEN 'DEAD' THEN 'RETRY' ELSE state END,
       tried_in = -2
 WHERE batch_id IS NOT NULL AND state <> 'LATE'
   AND CASE :kind
         WHEN 'record' THEN record_id = :number
           OR (batch_id, chunk) = (SELECT batch_id, chunk FROM undelivered_record WHERE record_id = :number)
         WHEN 'batch' THEN batch_id = :number
         WHEN 'user' THEN user_id = :number
         WHEN 'dead' THEN state = 'DEAD'
         ELSE state <> 'DEAD'
       END
RETURNING batch_id
