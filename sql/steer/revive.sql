-- A record that was declared dead although the request was at fault: that attempt does not count.
UPDATE undelivered_record
   SET state = 'RETRY', attempts = max(attempts - 1, 0), tried_in = -1
 WHERE record_id = :record AND state = 'DEAD' AND batch_id IS NOT NULL
RETURNING batch_id
