-- In the copy: whoever works on it first says that it was restored.
UPDATE instance SET backup_at = :now, restored_at = NULL
