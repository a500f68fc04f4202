-- The records of each user, counted one by one.
CREATE TEMP TABLE user_count AS
SELECT user_id,
       count(*) AS records,
       count(CASE place WHEN 'DELIVERED' THEN 1 END) AS delivered,
       count(CASE place WHEN 'WAITING' THEN 1 END) AS waiting,
       count(CASE place WHEN 'RETRY' THEN 1 END) AS retrying,
       count(CASE place WHEN 'UNKNOWN' THEN 1 END) AS unknown,
       count(CASE place WHEN 'DEAD' THEN 1 END) AS dead
  FROM record_place
 GROUP BY user_id
