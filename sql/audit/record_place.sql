-- Where each record of user_record stands, told row by row. A record is delivered when it was cut into a batch, no row of
-- undelivered_record holds it back, and no open range has yet to pass it; or when it is left out of its range for that.
CREATE TEMP VIEW record_place AS
SELECT r.id, r.user_id,
       CASE
         WHEN u.state = 'LATE' THEN 'WAITING'
         WHEN u.state IS NOT NULL THEN u.state
         WHEN EXISTS (SELECT 1 FROM left_out WHERE record_id = r.id) THEN 'DELIVERED'
         WHEN c.planned_through IS NULL OR c.planned_through < r.id THEN 'WAITING'
         WHEN b.id IS NOT NULL THEN 'WAITING'
         ELSE 'DELIVERED'
       END AS place,
       CASE
         WHEN u.record_id IS NOT NULL THEN u.batch_id
         WHEN EXISTS (SELECT 1 FROM left_out WHERE record_id = r.id) THEN NULL
         ELSE b.id
       END AS batch_id
  FROM user_record AS r
  LEFT JOIN undelivered_record AS u ON u.record_id = r.id
  LEFT JOIN user_cursor AS c ON c.user_id = r.user_id
  LEFT JOIN processing_batch_status AS b
    ON b.id = (SELECT id FROM processing_batch_status
                WHERE status <> 'SUCCESS' AND kind = 'RANGE' AND user_id = r.user_id AND start_id <= r.id
                ORDER BY start_id DESC LIMIT 1)
   AND b.end_id >= r.id
   AND (b.sent_through IS NULL OR b.sent_through < r.id)
