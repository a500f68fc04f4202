-- A file of schema 3 as the sqlite3 shell dumps it, sent in bulk, three records a request, in batches of 5, until a kill -9: 103
-- was answered 500, 105 and 202 were answered 422, 204 and 205 got no result (503); 301 to 303 were under way. -7 and 0 came
-- late, 2 was delivered and moved to another user, 7 was deleted, 900 belongs to no user, and user 6 came later.
PRAGMA application_id = 0x46455259;
PRAGMA user_version = 3;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE user_record (
  -- The owner's table: one row a record. ferryd never updates it, and deletes from it only in `prune`.
  id         INTEGER PRIMARY KEY,
  user_id    INTEGER NOT NULL,
  network_id TEXT,
  city       TEXT
);
INSERT INTO user_record VALUES(-7,1,'-7','Lisboa');
INSERT INTO user_record VALUES(0,1,'0','Lisboa');
INSERT INTO user_record VALUES(1,1,'1','Lisboa');
INSERT INTO user_record VALUES(2,3,'2','Lisboa');
INSERT INTO user_record VALUES(3,1,'3','Lisboa');
INSERT INTO user_record VALUES(4,1,'4','Lisboa');
INSERT INTO user_record VALUES(5,1,'5','Lisboa');
INSERT INTO user_record VALUES(6,1,'6','Lisboa');
INSERT INTO user_record VALUES(8,1,'8','Lisboa');
INSERT INTO user_record VALUES(9,1,'9','Lisboa');
INSERT INTO user_record VALUES(10,1,'10','Lisboa');
INSERT INTO user_record VALUES(101,2,'101','Porto');
INSERT INTO user_record VALUES(102,2,'102','Porto');
INSERT INTO user_record VALUES(103,2,'103','Porto');
INSERT INTO user_record VALUES(104,2,'104','Porto');
INSERT INTO user_record VALUES(105,2,'105','Porto');
INSERT INTO user_record VALUES(201,3,'201','Faro');
INSERT INTO user_record VALUES(202,3,'202','Faro');
INSERT INTO user_record VALUES(203,3,'203','Faro');
INSERT INTO user_record VALUES(204,3,'204','Faro');
INSERT INTO user_record VALUES(205,3,'205','Faro');
INSERT INTO user_record VALUES(301,4,'301','Braga');
INSERT INTO user_record VALUES(302,4,'302','Braga');
INSERT INTO user_record VALUES(303,4,'303','Braga');
INSERT INTO user_record VALUES(304,4,'304','Braga');
INSERT INTO user_record VALUES(305,4,'305','Braga');
INSERT INTO user_record VALUES(401,5,'401','Évora');
INSERT INTO user_record VALUES(402,5,'402','Évora');
INSERT INTO user_record VALUES(403,5,'403','Évora');
INSERT INTO user_record VALUES(404,5,'404','Évora');
INSERT INTO user_record VALUES(405,5,'405','Évora');
INSERT INTO user_record VALUES(406,5,'406','Évora');
INSERT INTO user_record VALUES(407,5,'407','Évora');
INSERT INTO user_record VALUES(408,5,'408','Évora');
INSERT INTO user_record VALUES(409,5,'409','Évora');
INSERT INTO user_record VALUES(410,5,'410','Évora');
INSERT INTO user_record VALUES(411,5,'411','Évora');
INSERT INTO user_record VALUES(412,5,'412','Évora');
INSERT INTO user_record VALUES(501,6,'501','O''Neill');
INSERT INTO user_record VALUES(502,6,'502',NULL);
INSERT INTO user_record VALUES(900,'abc',NULL,NULL);
CREATE TABLE instance (
  -- One row: who this file is. The id starts every idempotency key.
  only_row   INTEGER PRIMARY KEY CHECK (only_row = 1),
  id         TEXT NOT NULL,
  created_at TEXT NOT NULL
);
INSERT INTO instance VALUES(1,'3ff5b93b00323557','2026-11-26T11:11:23.709Z');
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
INSERT INTO processing_batch_status VALUES(1,1,0,5,'RANGE',1,5,'SUCCESS',0,5,5,0,1,'2026-11-26T11:11:23.735Z','2026-11-26T11:11:23.737Z','2026-11-26T11:11:23.784Z',NULL,45,NULL);
INSERT INTO processing_batch_status VALUES(2,2,0,5,'RANGE',101,105,'FAILED',1,105,3,0,1,'2026-11-26T11:11:23.735Z','2026-11-26T11:11:23.737Z','2026-11-26T11:11:23.873Z','2026-11-26T11:16:31.135Z',87,replace('id=103: item 500: {"status": 500}\nid=105: item 422: {"status": 422}\n','\n',char(10)));
INSERT INTO processing_batch_status VALUES(3,3,0,5,'RANGE',201,205,'FAILED',1,205,2,0,1,'2026-11-26T11:11:23.735Z','2026-11-26T11:11:23.737Z','2026-11-26T11:11:23.960Z','2026-11-26T11:16:35.372Z',86,replace('id=202: item 422: {"status": 422}\nid=204: HTTP 503 Service Unavailable: busy\nid=205: HTTP 503 Service Unavailable: busy\n','\n',char(10)));
INSERT INTO processing_batch_status VALUES(4,4,0,5,'RANGE',301,305,'RUNNING',0,NULL,0,0,1,'2026-11-26T11:11:23.735Z','2026-11-26T11:11:23.737Z','2026-11-26T11:11:23.735Z',NULL,0,NULL);
INSERT INTO processing_batch_status VALUES(5,5,0,5,'RANGE',401,405,'RUNNING',0,NULL,0,0,1,'2026-11-26T11:11:23.735Z','2026-11-26T11:11:23.737Z','2026-11-26T11:11:23.735Z',NULL,0,NULL);
INSERT INTO processing_batch_status VALUES(6,1,1,5,'RANGE',6,10,'RUNNING',0,NULL,0,1,1,'2026-11-26T11:11:23.739Z','2026-11-26T11:11:23.740Z','2026-11-26T11:11:23.739Z',NULL,0,NULL);
INSERT INTO processing_batch_status VALUES(7,5,1,5,'RANGE',406,410,'RUNNING',0,NULL,0,0,1,'2026-11-26T11:11:23.739Z','2026-11-26T11:11:23.740Z','2026-11-26T11:11:23.739Z',NULL,0,NULL);
INSERT INTO processing_batch_status VALUES(8,5,2,2,'RANGE',411,412,'RUNNING',0,NULL,0,0,1,'2026-11-26T11:11:23.741Z','2026-11-26T11:11:23.742Z','2026-11-26T11:11:23.741Z',NULL,0,NULL);
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
  last_attempt_at TEXT, chunk /* bulk: names the request that it was last part of, first:last ids; NULL: cut it anew */ TEXT,
  CONSTRAINT a_state_is_known CHECK (state IN ('LATE', 'RETRY', 'UNKNOWN', 'DEAD'))
);
INSERT INTO undelivered_record VALUES(-7,1,NULL,'LATE',0,-1,NULL,NULL,'2026-11-26T11:11:25.725Z',NULL,NULL);
INSERT INTO undelivered_record VALUES(0,1,NULL,'LATE',0,-1,NULL,NULL,'2026-11-26T11:11:25.725Z',NULL,NULL);
INSERT INTO undelivered_record VALUES(103,2,2,'RETRY',1,0,500,'item 500: {"status": 500}','2026-11-26T11:11:23.829Z','2026-11-26T11:11:23.829Z',NULL);
INSERT INTO undelivered_record VALUES(105,2,2,'DEAD',1,0,422,'item 422: {"status": 422}','2026-11-26T11:11:23.872Z','2026-11-26T11:11:23.872Z',NULL);
INSERT INTO undelivered_record VALUES(202,3,3,'DEAD',1,0,422,'item 422: {"status": 422}','2026-11-26T11:11:23.916Z','2026-11-26T11:11:23.916Z',NULL);
INSERT INTO undelivered_record VALUES(204,3,3,'RETRY',1,0,503,'HTTP 503 Service Unavailable: busy','2026-11-26T11:11:23.959Z','2026-11-26T11:11:23.959Z','204:205');
INSERT INTO undelivered_record VALUES(205,3,3,'RETRY',1,0,503,'HTTP 503 Service Unavailable: busy','2026-11-26T11:11:23.960Z','2026-11-26T11:11:23.960Z','204:205');
INSERT INTO undelivered_record VALUES(900,NULL,NULL,'DEAD',0,-1,NULL,'user_id is not a whole number','2026-11-26T11:11:25.735Z',NULL,NULL);
CREATE TABLE backlog (
  -- One row per user with records that are not planned yet; the triggers on user_record keep it.
  user_id INTEGER PRIMARY KEY,
  records INTEGER NOT NULL,
  since   TEXT NOT NULL                        -- when the first of them came
);
INSERT INTO backlog VALUES(1,2,'2026-11-26T11:11:25.725Z');
INSERT INTO backlog VALUES(6,2,'2026-11-26T11:11:25.729Z');
CREATE TABLE left_out (
  -- Delivered records that a range of ids must pass over: sent by a LATE batch, or moved to another user or id.
  record_id INTEGER PRIMARY KEY,
  user_id   INTEGER
);
INSERT INTO left_out VALUES(2,3);
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
INSERT INTO gate VALUES(1,'open',NULL,'2026-11-26T11:11:23.709Z',NULL);
CREATE TABLE command (
  -- Steering: INSERT INTO command(verb, target) VALUES ('retry', 'batch:42'); the daemon answers in the same row.
  id         INTEGER PRIMARY KEY,
  verb       TEXT NOT NULL,                    -- retry, pause, resume, plan
  target     TEXT,                             -- retry: batch:N, user:N, record:N, dead, failed
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  done_at    TEXT,
  result     TEXT
);
INSERT INTO command VALUES(1,'plan',NULL,'2026-11-26T11:11:25.734Z',NULL,NULL);
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
INSERT INTO user_cursor VALUES(1,10,2,'2026-11-26T11:11:23.784Z',1,5,0,0,1,0,0,0,0,0,0,0);
INSERT INTO user_cursor VALUES(2,105,1,'2026-11-26T11:11:23.873Z',0,0,0,0,0,1,0,3,2,1,0,1);
INSERT INTO user_cursor VALUES(3,205,1,'2026-11-26T11:11:23.960Z',0,0,0,0,0,1,0,2,3,2,0,1);
INSERT INTO user_cursor VALUES(4,305,1,NULL,0,0,0,0,1,0,0,0,0,0,0,0);
INSERT INTO user_cursor VALUES(5,412,3,NULL,0,0,0,0,3,0,0,0,0,0,0,0);
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
INSERT INTO delivery_total VALUES(1,1,5,0,5,2,0,5,5,3,0,2,1);
CREATE TABLE begun (
  -- In bulk mode: the request that a batch's attempt began last for a stretch of ids that none had touched.
  batch_id INTEGER PRIMARY KEY, -- processing_batch_status.id
  chunk    TEXT NOT NULL        -- its first and its last id, first:last
);
INSERT INTO begun VALUES(4,'301:303');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('processing_batch_status',8);
CREATE INDEX ferryd_record_by_user ON user_record (user_id);
CREATE INDEX open_batch_by_status ON processing_batch_status (status, next_attempt_at)
  WHERE status <> 'SUCCESS';
CREATE INDEX open_range_by_user ON processing_batch_status (user_id, start_id)
  WHERE status <> 'SUCCESS' AND kind = 'RANGE';
CREATE INDEX undelivered_by_batch ON undelivered_record (batch_id, record_id, state);
CREATE INDEX late_by_user ON undelivered_record (user_id)
  WHERE state = 'LATE' AND batch_id IS NULL;
CREATE INDEX command_to_do ON command (id) WHERE done_at IS NULL;
CREATE INDEX failed_batch_by_time ON processing_batch_status (last_attempt_at)
  WHERE status IN ('FAILED', 'DEAD');
CREATE VIEW record_arrival AS
SELECT NULL AS id, NULL AS user_id WHERE 0;
CREATE VIEW record_departure AS
SELECT NULL AS id, NULL AS user_id WHERE 0;
CREATE VIEW delivery_summary AS
WITH
  running AS (
    SELECT coalesce(sum(delivered_count), 0) AS delivered,
           coalesce(sum(batch_size - delivered_count - deleted_count), 0) AS unsettled,
           min(created_at) AS oldest
      FROM processing_batch_status WHERE status <> 'SUCCESS' AND status = 'RUNNING'),
  pending AS (
    -- The first that was planned.
    SELECT (SELECT created_at FROM processing_batch_status
             WHERE status <> 'SUCCESS' AND status = 'PENDING' AND next_attempt_at IS NULL
             ORDER BY id LIMIT 1) AS oldest),
  unplanned AS (
    SELECT coalesce(sum(records), 0) AS records, min(since) AS oldest FROM backlog),
  record AS (
    SELECT max(unplanned.records + resting_left + running.unsettled - retrying - unknown - dead, 0) AS waiting,
           total.delivered + resting_delivered + running.delivered AS delivered
      FROM delivery_total AS total, running, unplanned)
SELECT record.waiting AS waiting,
       record.delivered AS delivered,
       total.retrying AS retrying,
       total.unknown AS unknown,
       total.dead + total.userless AS dead,
       total.pending_batches AS pending_batches,
       total.running_batches AS running_batches,
       total.success_batches AS success_batches,
       total.failed_batches AS failed_batches,
       total.dead_batches AS dead_batches,
       (SELECT min(oldest)
          FROM (SELECT oldest FROM unplanned UNION ALL SELECT oldest FROM pending UNION ALL SELECT oldest FROM running)
         WHERE record.waiting > 0) AS oldest_waiting_at,
       gate.state AS gate,
       gate.reason AS gate_reason
  FROM delivery_total AS total, record, gate
;
CREATE VIEW user_progress AS
WITH running AS (
  SELECT user_id, sum(delivered_count) AS delivered, sum(batch_size - delivered_count - deleted_count) AS unsettled
    FROM processing_batch_status WHERE status <> 'SUCCESS' AND status = 'RUNNING'
   GROUP BY user_id)
SELECT c.user_id AS user_id,
       max(coalesce(b.records, 0) + c.resting_left + coalesce(r.unsettled, 0) - c.retrying - c.unknown - c.dead, 0) AS waiting,
       c.delivered + c.resting_delivered + coalesce(r.delivered, 0) AS delivered,
       c.retrying AS retrying,
       c.unknown AS unknown,
       c.dead AS dead,
       c.success_batches AS success_batches,
       c.pending_batches + c.running_batches + c.failed_batches + c.dead_batches AS open_batches,
       c.last_attempt_at AS last_attempt_at
  FROM user_cursor AS c
  LEFT JOIN backlog AS b ON b.user_id = c.user_id
  LEFT JOIN running AS r ON r.user_id = c.user_id
UNION ALL
SELECT user_id, records, 0, 0, 0, 0, 0, 0, NULL
  FROM backlog WHERE NOT EXISTS (SELECT 1 FROM user_cursor WHERE user_id = backlog.user_id)
UNION ALL
SELECT NULL, 0, 0, 0, 0, userless, 0, 0, NULL
  FROM delivery_total WHERE userless > 0;
CREATE VIEW failed_batches AS
SELECT id, user_id, batch_offset, status, retry_count,
       batch_size, delivered_count, last_attempt_at, next_attempt_at, error_message
  FROM processing_batch_status
 WHERE status IN ('FAILED', 'DEAD')
 ORDER BY last_attempt_at DESC, id DESC;
CREATE VIEW undelivered AS
SELECT u.record_id, u.state,
       CASE u.state
         WHEN 'LATE' THEN 'came in below an id that was already planned; waits for a batch of its own'
         WHEN 'RETRY' THEN 'will be sent again: ' || coalesce(u.error, 'no reason given')
         WHEN 'UNKNOWN' THEN 'no answer was seen, so it may have been accepted; will be sent again: ' || coalesce(u.error, 'no reason given')
         ELSE 'will not be sent again: ' || coalesce(u.error, 'no reason given')
       END AS reason,
       u.attempts, u.http_status, u.batch_id, b.next_attempt_at, u.first_seen_at, u.last_attempt_at,
       r.*
  FROM undelivered_record AS u
  LEFT JOIN user_record AS r ON r.id = u.record_id
  LEFT JOIN processing_batch_status AS b ON b.id = u.batch_id;
CREATE VIEW recent_batches AS
SELECT id, user_id, batch_offset, status, batch_size, delivered_count, retry_count,
       created_at, last_attempt_at,
       round(busy_ms / 1000.0, 3) AS seconds,
       CASE WHEN busy_ms > 0 THEN round(delivered_count * 1000.0 / busy_ms, 1) END AS records_per_second
  FROM processing_batch_status
 ORDER BY id DESC
 LIMIT 100;
CREATE TRIGGER record_arrives INSTEAD OF INSERT ON record_arrival
BEGIN
  -- INSERT OR REPLACE deletes the old row without a delete trigger: it departs here, and so does what is left of a row
  -- of this id that went away because of another column of the owner's.
  INSERT INTO record_departure (id, user_id)
  SELECT id, user_id FROM replaced WHERE id = new.id;
  INSERT INTO record_departure (id, user_id)
  SELECT record_id, user_id FROM undelivered_record WHERE record_id = new.id;
  DELETE FROM left_out WHERE record_id = new.id;

  -- At or below the cursor the ids are cut into batches already: the row waits for a batch of its own.
  INSERT INTO undelivered_record (record_id, user_id, state, first_seen_at)
  SELECT new.id, new.user_id, 'LATE', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    FROM user_cursor WHERE user_id = new.user_id AND planned_through >= new.id;

  INSERT INTO backlog (user_id, records, since)
  SELECT new.user_id, 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE typeof(new.user_id) = 'integer'
  ON CONFLICT (user_id) DO UPDATE SET records = records + 1;

  INSERT INTO undelivered_record (record_id, state, error, first_seen_at)
  SELECT new.id, 'DEAD', 'user_id is not a whole number', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
   WHERE typeof(new.user_id) <> 'integer';
END
;
CREATE TRIGGER record_departs INSTEAD OF INSERT ON record_departure
BEGIN
  -- It was waiting to be planned.
  UPDATE backlog SET records = max(records - 1, 0)
   WHERE user_id = new.user_id
     AND NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = new.id)
     AND (EXISTS (SELECT 1 FROM undelivered_record WHERE record_id = new.id AND state = 'LATE' AND batch_id IS NULL)
          OR NOT EXISTS (SELECT 1 FROM user_cursor WHERE user_id = new.user_id AND planned_through >= new.id));

  -- It belonged to a batch that had not sent it yet.
  UPDATE processing_batch_status SET deleted_count = deleted_count + 1
   WHERE id = (SELECT id FROM processing_batch_status
                WHERE status <> 'SUCCESS' AND kind = 'RANGE' AND user_id = new.user_id AND start_id <= new.id
                ORDER BY start_id DESC LIMIT 1)
     AND end_id >= new.id
     AND (sent_through IS NULL OR sent_through < new.id)
     AND NOT EXISTS (SELECT 1 FROM undelivered_record WHERE record_id = new.id)
     AND NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = new.id);

  -- It belonged to a batch that had tried it; the batch may have nothing left to do.
  UPDATE processing_batch_status SET deleted_count = deleted_count + 1
   WHERE id = (SELECT batch_id FROM undelivered_record WHERE record_id = new.id);
  UPDATE processing_batch_status SET status = 'SUCCESS', next_attempt_at = NULL, error_message = NULL
   WHERE id = (SELECT batch_id FROM undelivered_record WHERE record_id = new.id)
     AND status IN ('FAILED', 'DEAD') AND delivered_count + deleted_count >= batch_size;

  DELETE FROM undelivered_record WHERE record_id = new.id;
  DELETE FROM left_out WHERE record_id = new.id;
  DELETE FROM replaced WHERE id = new.id;
END
;
CREATE TRIGGER ferryd_record_replaced BEFORE INSERT ON user_record
WHEN EXISTS (SELECT 1 FROM user_record WHERE id = new.id)
BEGIN
  INSERT INTO replaced (only_row, id, user_id)
  SELECT 1, id, user_id FROM user_record WHERE id = new.id
  ON CONFLICT (only_row) DO UPDATE SET id = excluded.id, user_id = excluded.user_id;
END;
CREATE TRIGGER ferryd_record_inserted AFTER INSERT ON user_record
BEGIN
  INSERT INTO record_arrival (id, user_id) VALUES (new.id, new.user_id);
END;
CREATE TRIGGER ferryd_record_deleted AFTER DELETE ON user_record
BEGIN
  INSERT INTO record_departure (id, user_id) VALUES (old.id, old.user_id);
END;
CREATE TRIGGER ferryd_record_moved AFTER UPDATE OF id, user_id ON user_record
WHEN old.id <> new.id OR old.user_id IS NOT new.user_id
BEGIN
  -- UPDATE OR REPLACE took away whatever had the new id, without a delete trigger.
  INSERT INTO record_departure (id, user_id)
  SELECT record_id, user_id FROM undelivered_record WHERE record_id = new.id AND old.id <> new.id;
  DELETE FROM left_out WHERE record_id = new.id AND old.id <> new.id;

  INSERT INTO left_out (record_id, user_id)
  SELECT new.id, new.user_id
   WHERE EXISTS (SELECT 1 FROM left_out WHERE record_id = old.id)
      OR (EXISTS (SELECT 1 FROM user_cursor WHERE user_id = old.user_id AND planned_through >= old.id)
          AND NOT EXISTS (SELECT 1 FROM undelivered_record WHERE record_id = old.id)
          AND NOT EXISTS (SELECT 1 FROM processing_batch_status
                           WHERE id = (SELECT id FROM processing_batch_status
                                        WHERE status <> 'SUCCESS' AND kind = 'RANGE'
                                          AND user_id = old.user_id AND start_id <= old.id
                                        ORDER BY start_id DESC LIMIT 1)
                             AND end_id >= old.id
                             AND (sent_through IS NULL OR sent_through < old.id)))
  ON CONFLICT (record_id) DO UPDATE SET user_id = excluded.user_id;

  DELETE FROM left_out WHERE record_id = old.id AND old.id <> new.id;

  INSERT INTO record_departure (id, user_id)
  SELECT old.id, old.user_id WHERE NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = new.id);

  INSERT INTO record_arrival (id, user_id)
  SELECT new.id, new.user_id WHERE NOT EXISTS (SELECT 1 FROM left_out WHERE record_id = new.id);
END
;
CREATE TRIGGER batch_is_planned AFTER INSERT ON processing_batch_status
BEGIN
  INSERT INTO user_cursor (user_id) VALUES (new.user_id) ON CONFLICT (user_id) DO NOTHING;
  UPDATE user_cursor
     SET success_batches = success_batches + (new.status = 'SUCCESS'),
         delivered = delivered + (new.status = 'SUCCESS') * new.delivered_count,
         deleted = deleted + (new.status = 'SUCCESS') * new.deleted_count,
         pending_batches = pending_batches + (new.status = 'PENDING'),
         running_batches = running_batches + (new.status = 'RUNNING'),
         failed_batches = failed_batches + (new.status = 'FAILED'),
         dead_batches = dead_batches + (new.status = 'DEAD'),
         resting_delivered = resting_delivered + (new.status <> 'RUNNING' AND new.status <> 'SUCCESS') * new.delivered_count,
         resting_left = resting_left
           + (new.status <> 'RUNNING' AND new.status <> 'SUCCESS') * (new.batch_size - new.delivered_count - new.deleted_count)
   WHERE user_id = new.user_id;
END;
CREATE TRIGGER batch_moves_on AFTER UPDATE OF status, deleted_count ON processing_batch_status
WHEN old.status <> new.status OR (old.deleted_count <> new.deleted_count AND new.status <> 'RUNNING')
BEGIN
  UPDATE user_cursor
     SET last_attempt_at = CASE WHEN old.status = 'RUNNING' AND new.status <> 'PENDING'
                                THEN new.last_attempt_at ELSE last_attempt_at END,
         success_batches = success_batches + (new.status = 'SUCCESS') - (old.status = 'SUCCESS'),
         delivered = delivered
           + (new.status = 'SUCCESS') * new.delivered_count - (old.status = 'SUCCESS') * old.delivered_count,
         deleted = deleted
           + (new.status = 'SUCCESS') * new.deleted_count - (old.status = 'SUCCESS') * old.deleted_count,
         pending_batches = pending_batches + (new.status = 'PENDING') - (old.status = 'PENDING'),
         running_batches = running_batches + (new.status = 'RUNNING') - (old.status = 'RUNNING'),
         failed_batches = failed_batches + (new.status = 'FAILED') - (old.status = 'FAILED'),
         dead_batches = dead_batches + (new.status = 'DEAD') - (old.status = 'DEAD'),
         resting_delivered = resting_delivered
           + (new.status <> 'RUNNING' AND new.status <> 'SUCCESS') * new.delivered_count
           - (old.status <> 'RUNNING' AND old.status <> 'SUCCESS') * old.delivered_count,
         resting_left = resting_left
           + (new.status <> 'RUNNING' AND new.status <> 'SUCCESS') * (new.batch_size - new.delivered_count - new.deleted_count)
           - (old.status <> 'RUNNING' AND old.status <> 'SUCCESS') * (old.batch_size - old.delivered_count - old.deleted_count)
   WHERE user_id = new.user_id;
END;
CREATE TRIGGER trouble_comes AFTER INSERT ON undelivered_record
WHEN new.state <> 'LATE'
BEGIN
  UPDATE user_cursor
     SET retrying = retrying + (new.state = 'RETRY'),
         unknown = unknown + (new.state = 'UNKNOWN'),
         dead = dead + (new.state = 'DEAD')
   WHERE user_id = new.user_id;
  UPDATE delivery_total SET userless = userless + 1 WHERE only_row = 1 AND new.user_id IS NULL;
END;
CREATE TRIGGER trouble_changes AFTER UPDATE OF state ON undelivered_record
WHEN old.state <> new.state
BEGIN
  UPDATE user_cursor
     SET retrying = retrying + (new.state = 'RETRY') - (old.state = 'RETRY'),
         unknown = unknown + (new.state = 'UNKNOWN') - (old.state = 'UNKNOWN'),
         dead = dead + (new.state = 'DEAD') - (old.state = 'DEAD')
   WHERE user_id = new.user_id;
END;
CREATE TRIGGER trouble_ends AFTER DELETE ON undelivered_record
WHEN old.state <> 'LATE'
BEGIN
  UPDATE user_cursor
     SET retrying = retrying - (old.state = 'RETRY'),
         unknown = unknown - (old.state = 'UNKNOWN'),
         dead = dead - (old.state = 'DEAD')
   WHERE user_id = old.user_id;
  UPDATE delivery_total SET userless = userless - 1 WHERE only_row = 1 AND old.user_id IS NULL;
END;
CREATE TRIGGER user_is_counted AFTER UPDATE OF success_batches, delivered, pending_batches, running_batches,
  failed_batches, dead_batches, resting_delivered, resting_left, retrying, unknown, dead ON user_cursor
BEGIN
  UPDATE delivery_total
     SET success_batches = success_batches + new.success_batches - old.success_batches,
         delivered = delivered + new.delivered - old.delivered,
         pending_batches = pending_batches + new.pending_batches - old.pending_batches,
         running_batches = running_batches + new.running_batches - old.running_batches,
         failed_batches = failed_batches + new.failed_batches - old.failed_batches,
         dead_batches = dead_batches + new.dead_batches - old.dead_batches,
         resting_delivered = resting_delivered + new.resting_delivered - old.resting_delivered,
         resting_left = resting_left + new.resting_left - old.resting_left,
         retrying = retrying + new.retrying - old.retrying,
         unknown = unknown + new.unknown - old.unknown,
         dead = dead + new.dead - old.dead
   WHERE only_row = 1;
END;
CREATE TRIGGER batch_succeeds AFTER UPDATE OF status ON processing_batch_status
WHEN new.status = 'SUCCESS' AND old.status <> 'SUCCESS'
BEGIN
  DELETE FROM left_out
   WHERE new.kind = 'RANGE' AND user_id = new.user_id AND record_id BETWEEN new.start_id AND new.end_id;
END;
CREATE TRIGGER success_is_final BEFORE UPDATE OF status ON processing_batch_status
WHEN old.status = 'SUCCESS' AND new.status <> 'SUCCESS'
BEGIN
  SELECT RAISE(ABORT, 'SUCCESS is final: a delivered batch is never sent again');
END;
CREATE TRIGGER command_is_legal BEFORE INSERT ON command
BEGIN
  SELECT RAISE(ABORT, 'unknown verb: use retry, pause, resume or plan')
   WHERE new.verb IS NULL OR new.verb NOT IN ('retry', 'pause', 'resume', 'plan');

  SELECT RAISE(ABORT, 'this verb takes no target')
   WHERE new.verb <> 'retry' AND new.target IS NOT NULL;

  SELECT RAISE(ABORT, 'retry needs a target: batch:N, user:N, record:N, dead or failed')
   WHERE new.verb = 'retry'
     AND new.target IS NOT 'dead' AND new.target IS NOT 'failed'
     AND NOT coalesce(
           new.target = 'batch:' || CAST(substr(new.target, 7) AS INTEGER)
        OR new.target = 'user:' || CAST(substr(new.target, 6) AS INTEGER)
        OR new.target = 'record:' || CAST(substr(new.target, 8) AS INTEGER), 0);

  SELECT RAISE(ABORT, 'done_at and result are the daemon''s to write')
   WHERE new.done_at IS NOT NULL OR new.result IS NOT NULL;
END;
COMMIT;
