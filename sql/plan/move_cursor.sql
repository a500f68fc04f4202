INSERT INTO user_cursor (user_id, planned_through, next_offset)
VALUES (:user, :planned_through, :next_offset)
ON CONFLICT (user_id) DO UPDATE
   SET planned_through = excluded.planned_through, next_offset = excluded.next_offset
