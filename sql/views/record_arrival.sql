CREATE VIEW record_arrival AS
-- No rows to read: inserting here says that a row of user_record is new to its user. SQL has no procedures; this is one.
SELECT NULL AS id, NULL AS user_id WHERE 0
