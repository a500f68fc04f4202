-- Rows came while the triggers were gone: whether those below the cursor are the ones that were delivered, nobody saw. They
-- must never be pruned.
UPDATE user_cursor SET unwatched_through = planned_through WHERE planned_through IS NOT NULL
