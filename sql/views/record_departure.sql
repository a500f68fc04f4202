-- No rows to read: inserting here says that a row of user_record is gone from its user.
CREATE VIEW record_departure AS
SELECT NULL AS id, NULL AS user_id WHERE 0
