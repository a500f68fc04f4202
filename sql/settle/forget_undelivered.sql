-- The record is delivered. A row that was inserted anew under its id names another batch, or none, and stays.
DELETE FROM undelivered_record WHERE record_id = :record AND batch_id = :batch
