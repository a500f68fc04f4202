SELECT backup_at, restored_at FROM instance WHERE backup_at IS NOT NULL
