CREATE VIEW record_departure AS
-- No rows to read: inserting here says that a row of user_record is gone from its user.
SELECT NULL AS id, NULL AS user_id WHERE 0
