-- Some records of a SUCCESS batch's range: its user's, as far as nothing stands against it that they are delivered. The last
-- row of the table stays in any case, or SQLite would give its id again.
DELETE FROM user_record
 WHERE id IN (
   SELECT r.id
     FROM user_record AS r
     JOIN user_cursor AS c ON c.user_id = :user AND c.planned_through >= r.id
    WHERE r.user_id = :user AND r.id BETWEEN :first AND :last
      AND (c.unwatched_through IS NULL OR c.unwatched_through < r.id)
      AND r.id < (SELECT max(id) FROM user_record)
      AND NOT EXISTS (SELECT 1 FROM undelivered_record WHERE record_id = r.id)
      AND NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = r.id)
    ORDER BY r.id
    LIMIT :records)
