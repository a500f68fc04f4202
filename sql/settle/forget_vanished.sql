-- Rows that went away without a trigger: INSERT OR REPLACE removes them for a UNIQUE column of the owner's.
DELETE FROM undelivered_record
 WHERE batch_id = :batch AND NOT EXISTS (SELECT 1 FROM user_record WHERE id = record_id)
