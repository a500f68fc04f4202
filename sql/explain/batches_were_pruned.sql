SELECT EXISTS (SELECT 1 FROM user_cursor WHERE user_id = :user AND pruned_batches > 0)
