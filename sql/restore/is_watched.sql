-- Whether user_record has ferryd's triggers and index: they are gone when its owner made the table anew.
SELECT count(*) = 5
  FROM sqlite_schema
 WHERE tbl_name = 'user_record' COLLATE NOCASE
   AND name IN ('ferryd_record_inserted', 'ferryd_record_deleted', 'ferryd_record_moved', 'ferryd_record_replaced',
                'ferryd_record_by_user')
