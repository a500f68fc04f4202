-- A request was cut anew: it is a name in the file before it is sent.
UPDATE undelivered_record SET chunk = :chunk WHERE record_id = :record AND batch_id = :batch
