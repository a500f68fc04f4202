CREATE INDEX IF NOT EXISTS ferryd_record_by_user ON user_record (user_id)
