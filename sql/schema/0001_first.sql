-- Schema 1. user_record may already be there: then it is adopted as it is.

CREATE TABLE IF NOT EXISTS user_record (
  -- The owner's table: one row a record. ferryd never updates it, and deletes from it only in `prune`.
  id         INTEGER PRIMARY KEY,
  user_id    INTEGER NOT NULL,
  network_id TEXT,
  city       TEXT
);

CREATE INDEX ferryd_record_by_user ON user_record (user_id);

CREATE TABLE instance (
  -- One row: who this file is. The id starts every idempotency key.
  only_row   INTEGER PRIMARY KEY CHECK (only_row = 1),
  id         TEXT NOT NULL,
  created_at TEXT NOT NULL
);

CREATE TABLE processing_batch_status (
  -- One row a batch: up to batch.size records of one user, in id order.
  id              INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: it is part of the idempotency keys
  user_id         INTEGER NOT NULL,
  batch_offset    INTEGER NOT NULL,            -- 0, 1, 2, … per user, never renumbered
  batch_size      INTEGER NOT NULL,            -- records in the batch when it was planned
  kind            TEXT NOT NULL DEFAULT 'RANGE', -- RANGE: the user's ids from start_id to end_id; LATE: the rows of undelivered_record that name it
  start_id        INTEGER NOT NULL,            -- first record id
  end_id          INTEGER NOT NULL,            -- last record id
  status          TEXT NOT NULL DEFAULT 'PENDING',
  retry_count     INTEGER NOT NULL DEFAULT 0,  -- attempts that ended FAILED or DEAD
  sent_through    INTEGER,                     -- RANGE: up to here each record was answered or stands in undelivered_record
  delivered_count INTEGER NOT NULL DEFAULT 0,  -- records accepted so far
  deleted_count   INTEGER NOT NULL DEFAULT 0,  -- records that their owner deleted before they were sent
  claim           INTEGER NOT NULL DEFAULT 0,  -- times a worker took it; fences the writes of an earlier worker
  created_at      TEXT NOT NULL,               -- when it was planned
  started_at      TEXT,                        -- when a worker last took it
  last_attempt_at TEXT NOT NULL,               -- end of the last attempt, else when it was planned
  next_attempt_at TEXT,                        -- when a FAILED batch is due
  busy_ms         INTEGER NOT NULL DEFAULT 0,  -- time that workers spent on its attempts
  error_message   TEXT,                        -- lines `id=<id>: <message>`
  UNIQUE (user_id, batch_offset),
  CONSTRAINT a_kind_is_known CHECK (kind IN ('RANGE', 'LATE')),
  CONSTRAINT a_status_is_known CHECK (status IN ('PENDING', 'RUNNING', 'SUCCESS', 'FAILED', 'DEAD')),
  CONSTRAINT only_a_failed_batch_is_due CHECK ((status = 'FAILED') = (next_attempt_at IS NOT NULL)),
  CONSTRAINT a_success_leaves_no_record CHECK (status <> 'SUCCESS' OR delivered_count + deleted_count >= batch_size)
);

CREATE INDEX open_batch_by_status ON processing_batch_status (status, next_attempt_at)
  WHERE status <> 'SUCCESS';

CREATE INDEX open_range_by_user ON processing_batch_status (user_id, start_id)
  WHERE status <> 'SUCCESS' AND kind = 'RANGE';

CREATE TABLE undelivered_record (
  -- One row per record that is not simply waiting its turn. It goes away when the record is delivered.
  record_id       INTEGER PRIMARY KEY,
  user_id         INTEGER,                     -- NULL: the row's user_id is not a whole number
  batch_id        INTEGER REFERENCES processing_batch_status (id), -- NULL until it is planned
  state           TEXT NOT NULL,
  attempts        INTEGER NOT NULL DEFAULT 0,  -- times it was sent
  tried_in        INTEGER NOT NULL DEFAULT -1, -- the batch's retry_count when it was last sent
  http_status     INTEGER,                     -- NULL: no answer
  error           TEXT,
  first_seen_at   TEXT NOT NULL,
  last_attempt_at TEXT,
  CONSTRAINT a_state_is_known CHECK (state IN ('LATE', 'RETRY', 'UNKNOWN', 'DEAD'))
);

CREATE INDEX undelivered_by_batch ON undelivered_record (batch_id, record_id, state);

CREATE INDEX late_by_user ON undelivered_record (user_id)
  WHERE state = 'LATE' AND batch_id IS NULL;

CREATE TABLE user_cursor (
  -- One row a user: up to where the records are cut into batches, and what the SUCCESS batches add up to.
  user_id         INTEGER PRIMARY KEY,
  planned_through INTEGER,                     -- rows above this id are not planned; NULL: none is
  next_offset     INTEGER NOT NULL DEFAULT 0,  -- batch_offset of the next batch
  success_batches INTEGER NOT NULL DEFAULT 0,
  delivered       INTEGER NOT NULL DEFAULT 0,
  deleted         INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE backlog (
  -- One row per user with records that are not planned yet; the triggers on user_record keep it.
  user_id INTEGER PRIMARY KEY,
  records INTEGER NOT NULL,
  since   TEXT NOT NULL                        -- when the first of them came
);

CREATE TABLE left_out (
  -- Delivered records that a range of ids must pass over: sent by a LATE batch, or moved to another user or id.
  record_id INTEGER PRIMARY KEY,
  user_id   INTEGER
);

CREATE TABLE replaced (
  -- The row that an insert last found under its id. INSERT OR REPLACE takes such a row away without a delete trigger.
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  id       INTEGER NOT NULL,
  user_id  INTEGER
);

CREATE TABLE gate (
  -- One row: whether sending is held for the whole destination, and why.
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  state    TEXT NOT NULL CHECK (state IN ('open', 'closed', 'probing', 'paused')),
  reason   TEXT,
  since    TEXT NOT NULL,
  probe_at TEXT                                -- closed: when the next record may probe it
);

CREATE TABLE command (
  -- Steering: INSERT INTO command(verb, target) VALUES ('retry', 'batch:42'); the daemon answers in the same row.
  id         INTEGER PRIMARY KEY,
  verb       TEXT NOT NULL,                    -- retry, pause, resume, plan
  target     TEXT,                             -- retry: batch:N, user:N, record:N, dead, failed
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  done_at    TEXT,
  result     TEXT
);

CREATE INDEX command_to_do ON command (id) WHERE done_at IS NULL;

INSERT INTO instance (only_row, id, created_at)
VALUES (1, lower(hex(randomblob(8))), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));

INSERT INTO gate (only_row, state, since)
VALUES (1, 'open', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));

-- The rows of an adopted table are all waiting.
INSERT INTO backlog (user_id, records, since)
SELECT user_id, count(*), strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
  FROM user_record WHERE typeof(user_id) = 'integer' GROUP BY user_id;

INSERT INTO undelivered_record (record_id, state, error, first_seen_at)
SELECT id, 'DEAD', 'user_id is not a whole number', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
  FROM user_record WHERE typeof(user_id) <> 'integer';
