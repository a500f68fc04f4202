UPDATE instance SET restored_at = :now WHERE backup_at IS NOT NULL AND restored_at IS NULL
