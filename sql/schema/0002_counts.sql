-- Schema 2. What stands open is counted too, so that the views read one row a user, or one in all, however many batches
-- are open. The counts of open batches and of undelivered_record are filled in once the triggers are there.

-- Copied and not renamed: a rename fails when any view of the owner's names what is not there, as those on ferryd's views
-- do now, and turns the name in the others.
CREATE TABLE user_cursor_1 AS SELECT * FROM user_cursor;

DROP TABLE user_cursor;

CREATE TABLE user_cursor (
  -- One row a user: up to where the records are cut into batches, and what the user's batches add up to. Triggers count.
  user_id           INTEGER PRIMARY KEY,
  planned_through   INTEGER,                    -- rows above this id are not planned; NULL: none is
  next_offset       INTEGER NOT NULL DEFAULT 0, -- batch_offset of the next batch
  last_attempt_at   TEXT,                       -- end of the last attempt at any batch; NULL: none has ended
  success_batches   INTEGER NOT NULL DEFAULT 0,
  delivered         INTEGER NOT NULL DEFAULT 0, -- delivered_count of the SUCCESS batches
  deleted           INTEGER NOT NULL DEFAULT 0, -- deleted_count of the SUCCESS batches
  pending_batches   INTEGER NOT NULL DEFAULT 0,
  running_batches   INTEGER NOT NULL DEFAULT 0, -- few, and changing with each record: their records are counted when they are looked at
  failed_batches    INTEGER NOT NULL DEFAULT 0,
  dead_batches      INTEGER NOT NULL DEFAULT 0,
  resting_delivered INTEGER NOT NULL DEFAULT 0, -- delivered_count of the PENDING, FAILED and DEAD batches
  resting_left      INTEGER NOT NULL DEFAULT 0, -- records of those that are neither delivered nor deleted
  retrying          INTEGER NOT NULL DEFAULT 0, -- RETRY rows of undelivered_record
  unknown           INTEGER NOT NULL DEFAULT 0, -- UNKNOWN rows
  dead              INTEGER NOT NULL DEFAULT 0  -- DEAD rows
);

INSERT INTO user_cursor (user_id, planned_through, next_offset, last_attempt_at, success_batches, delivered, deleted)
SELECT user_id, planned_through, next_offset,
       (SELECT max(last_attempt_at) FROM processing_batch_status
         WHERE user_id = before.user_id AND (status = 'SUCCESS' OR retry_count > 0)),
       success_batches, delivered, deleted
  FROM user_cursor_1 AS before;

DROP TABLE user_cursor_1;

CREATE TABLE delivery_total (
  -- One row: what the rows of user_cursor add up to.
  only_row          INTEGER PRIMARY KEY CHECK (only_row = 1),
  success_batches   INTEGER NOT NULL DEFAULT 0,
  delivered         INTEGER NOT NULL DEFAULT 0,
  pending_batches   INTEGER NOT NULL DEFAULT 0,
  running_batches   INTEGER NOT NULL DEFAULT 0,
  failed_batches    INTEGER NOT NULL DEFAULT 0,
  dead_batches      INTEGER NOT NULL DEFAULT 0,
  resting_delivered INTEGER NOT NULL DEFAULT 0,
  resting_left      INTEGER NOT NULL DEFAULT 0,
  retrying          INTEGER NOT NULL DEFAULT 0,
  unknown           INTEGER NOT NULL DEFAULT 0,
  dead              INTEGER NOT NULL DEFAULT 0,
  userless          INTEGER NOT NULL DEFAULT 0  -- besides: DEAD rows whose user_id is not a whole number
);

INSERT INTO delivery_total (only_row) VALUES (1);

CREATE INDEX failed_batch_by_time ON processing_batch_status (last_attempt_at)
  WHERE status IN ('FAILED', 'DEAD');
