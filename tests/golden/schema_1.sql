-- A file of schema 1 as the sqlite3 shell dumps it, with batches and records in every state: users 1 to 8 were sent in
-- batches of 5 until a kill -9, 9 came later. 103 was answered 500, 104 not at all, 105 and 202 were answered 422; 303 was
-- under way. 699, 700, 0, -7 and 100 came late, 2 was delivered and moved to another user, 7, 409 and 602 were deleted.
PRAGMA application_id = 0x46455259;
PRAGMA user_version = 1;
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
INSERT INTO user_record VALUES(11,1,'11','Lisboa');
INSERT INTO user_record VALUES(12,1,'12','Lisboa');
INSERT INTO user_record VALUES(100,2,'100','Porto');
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
INSERT INTO user_record VALUES(410,5,'410','Évora');
INSERT INTO user_record VALUES(411,5,'411','Évora');
INSERT INTO user_record VALUES(412,5,'412','Évora');
INSERT INTO user_record VALUES(501,6,'501','O''Neill, "Sligo"');
INSERT INTO user_record VALUES(502,6,'502','O''Neill, "Sligo"');
INSERT INTO user_record VALUES(503,6,'503','O''Neill, "Sligo"');
INSERT INTO user_record VALUES(504,6,'504','O''Neill, "Sligo"');
INSERT INTO user_record VALUES(505,6,'505','O''Neill, "Sligo"');
INSERT INTO user_record VALUES(506,6,'506','O''Neill, "Sligo"');
INSERT INTO user_record VALUES(507,6,'507','O''Neill, "Sligo"');
INSERT INTO user_record VALUES(601,7,'601',NULL);
INSERT INTO user_record VALUES(603,7,'603',NULL);
INSERT INTO user_record VALUES(604,7,'604',NULL);
INSERT INTO user_record VALUES(699,8,'699','Sines');
INSERT INTO user_record VALUES(700,8,'700','Sines');
INSERT INTO user_record VALUES(701,8,'701','Sines');
INSERT INTO user_record VALUES(702,8,'702','Sines');
INSERT INTO user_record VALUES(703,8,'703','Sines');
INSERT INTO user_record VALUES(900,9,'900','Tomar');
INSERT INTO user_record VALUES(901,9,'901',NULL);
INSERT INTO user_record VALUES(999,'nobody','999','Lisboa');
CREATE TABLE instance (
  -- One row: who this file is. The id starts every idempotency key.
  only_row   INTEGER PRIMARY KEY CHECK (only_row = 1),
  id         TEXT NOT NULL,
  created_at TEXT NOT NULL
);
INSERT INTO instance VALUES(1,'668c0109b00797e1','2026-11-22T22:06:15.361Z');
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
INSERT INTO processing_batch_status VALUES(1,1,0,5,'RANGE',1,5,'SUCCESS',0,5,5,0,1,'2026-11-22T22:06:15.407Z','2026-11-22T22:06:15.413Z','2026-11-22T22:06:15.425Z',NULL,11,NULL);
INSERT INTO processing_batch_status VALUES(2,2,0,5,'RANGE',101,105,'FAILED',1,105,2,0,1,'2026-11-22T22:06:15.407Z','2026-11-22T22:06:15.413Z','2026-11-22T22:06:15.445Z','2026-11-22T22:11:22.707Z',11,replace('id=103: HTTP 500 Internal Server Error\nid=104: no answer: io: Peer disconnected\nid=105: HTTP 422 Unprocessable Entity\n','\n',char(10)));
INSERT INTO processing_batch_status VALUES(3,3,0,5,'RANGE',201,205,'DEAD',1,205,4,0,1,'2026-11-22T22:06:15.407Z','2026-11-22T22:06:15.414Z','2026-11-22T22:06:15.460Z',NULL,14,replace('id=202: HTTP 422 Unprocessable Entity\n','\n',char(10)));
INSERT INTO processing_batch_status VALUES(4,8,0,3,'RANGE',701,703,'SUCCESS',0,703,3,0,1,'2026-11-22T22:06:15.407Z','2026-11-22T22:06:15.429Z','2026-11-22T22:06:15.468Z',NULL,6,NULL);
INSERT INTO processing_batch_status VALUES(5,1,1,5,'RANGE',6,10,'SUCCESS',0,10,5,0,1,'2026-11-22T22:06:15.449Z','2026-11-22T22:06:15.449Z','2026-11-22T22:06:15.469Z',NULL,1,NULL);
INSERT INTO processing_batch_status VALUES(6,1,2,2,'RANGE',11,12,'SUCCESS',0,12,2,0,1,'2026-11-22T22:06:15.465Z','2026-11-22T22:06:15.466Z','2026-11-22T22:06:15.470Z',NULL,0,NULL);
INSERT INTO processing_batch_status VALUES(7,4,0,5,'RANGE',301,305,'RUNNING',0,302,2,0,1,'2026-11-22T22:06:15.565Z','2026-11-22T22:06:15.566Z','2026-11-22T22:06:15.565Z',NULL,0,NULL);
INSERT INTO processing_batch_status VALUES(8,5,0,5,'RANGE',401,405,'RUNNING',0,NULL,0,0,1,'2026-11-22T22:06:15.565Z','2026-11-22T22:06:15.567Z','2026-11-22T22:06:15.565Z',NULL,0,NULL);
INSERT INTO processing_batch_status VALUES(9,6,0,5,'RANGE',501,505,'RUNNING',0,NULL,0,0,1,'2026-11-22T22:06:15.565Z','2026-11-22T22:06:15.569Z','2026-11-22T22:06:15.565Z',NULL,0,NULL);
INSERT INTO processing_batch_status VALUES(10,7,0,4,'RANGE',601,604,'PENDING',0,NULL,0,1,0,'2026-11-22T22:06:15.565Z',NULL,'2026-11-22T22:06:15.565Z',NULL,0,NULL);
INSERT INTO processing_batch_status VALUES(11,8,1,2,'LATE',699,700,'PENDING',0,NULL,0,0,0,'2026-11-22T22:06:15.565Z',NULL,'2026-11-22T22:06:15.565Z',NULL,0,NULL);
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
INSERT INTO undelivered_record VALUES(-7,1,NULL,'LATE',0,-1,NULL,NULL,'2026-11-22T22:06:16.685Z',NULL);
INSERT INTO undelivered_record VALUES(0,1,NULL,'LATE',0,-1,NULL,NULL,'2026-11-22T22:06:16.685Z',NULL);
INSERT INTO undelivered_record VALUES(100,2,NULL,'LATE',0,-1,NULL,NULL,'2026-11-22T22:06:16.685Z',NULL);
INSERT INTO undelivered_record VALUES(103,2,2,'RETRY',1,0,500,'HTTP 500 Internal Server Error','2026-11-22T22:06:15.433Z','2026-11-22T22:06:15.433Z');
INSERT INTO undelivered_record VALUES(104,2,2,'UNKNOWN',1,0,NULL,'no answer: io: Peer disconnected','2026-11-22T22:06:15.437Z','2026-11-22T22:06:15.437Z');
INSERT INTO undelivered_record VALUES(105,2,2,'DEAD',1,0,422,'HTTP 422 Unprocessable Entity','2026-11-22T22:06:15.440Z','2026-11-22T22:06:15.440Z');
INSERT INTO undelivered_record VALUES(202,3,3,'DEAD',1,0,422,'HTTP 422 Unprocessable Entity','2026-11-22T22:06:15.452Z','2026-11-22T22:06:15.452Z');
INSERT INTO undelivered_record VALUES(699,8,11,'LATE',0,-1,NULL,NULL,'2026-11-22T22:06:15.548Z',NULL);
INSERT INTO undelivered_record VALUES(700,8,11,'LATE',0,-1,NULL,NULL,'2026-11-22T22:06:15.548Z',NULL);
INSERT INTO undelivered_record VALUES(999,NULL,NULL,'DEAD',0,-1,NULL,'user_id is not a whole number','2026-11-22T22:06:16.686Z',NULL);
CREATE TABLE user_cursor (
  -- One row a user: up to where the records are cut into batches, and what the SUCCESS batches add up to.
  user_id         INTEGER PRIMARY KEY,
  planned_through INTEGER,                     -- rows above this id are not planned; NULL: none is
  next_offset     INTEGER NOT NULL DEFAULT 0,  -- batch_offset of the next batch
  success_batches INTEGER NOT NULL DEFAULT 0,
  delivered       INTEGER NOT NULL DEFAULT 0,
  deleted         INTEGER NOT NULL DEFAULT 0
);
INSERT INTO user_cursor VALUES(1,12,3,3,12,0);
INSERT INTO user_cursor VALUES(2,105,1,0,0,0);
INSERT INTO user_cursor VALUES(3,205,1,0,0,0);
INSERT INTO user_cursor VALUES(4,305,1,0,0,0);
INSERT INTO user_cursor VALUES(5,405,1,0,0,0);
INSERT INTO user_cursor VALUES(6,505,1,0,0,0);
INSERT INTO user_cursor VALUES(7,604,1,0,0,0);
INSERT INTO user_cursor VALUES(8,703,2,1,3,0);
CREATE TABLE backlog (
  -- One row per user with records that are not planned yet; the triggers on user_record keep it.
  user_id INTEGER PRIMARY KEY,
  records INTEGER NOT NULL,
  since   TEXT NOT NULL                        -- when the first of them came
);
INSERT INTO backlog VALUES(1,2,'2026-11-22T22:06:16.685Z');
INSERT INTO backlog VALUES(2,1,'2026-11-22T22:06:16.685Z');
INSERT INTO backlog VALUES(5,6,'2026-11-22T22:06:15.547Z');
INSERT INTO backlog VALUES(6,2,'2026-11-22T22:06:15.548Z');
INSERT INTO backlog VALUES(9,2,'2026-11-22T22:06:16.686Z');
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
INSERT INTO gate VALUES(1,'open',NULL,'2026-11-22T22:06:15.361Z',NULL);
CREATE TABLE command (
  -- Steering: INSERT INTO command(verb, target) VALUES ('retry', 'batch:42'); the daemon answers in the same row.
  id         INTEGER PRIMARY KEY,
  verb       TEXT NOT NULL,                    -- retry, pause, resume, plan
  target     TEXT,                             -- retry: batch:N, user:N, record:N, dead, failed
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  done_at    TEXT,
  result     TEXT
);
INSERT INTO command VALUES(1,'retry','record:202','2026-11-22T22:06:16.688Z',NULL,NULL);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('processing_batch_status',11);
CREATE INDEX ferryd_record_by_user ON user_record (user_id);
CREATE INDEX open_batch_by_status ON processing_batch_status (status, next_attempt_at)
  WHERE status <> 'SUCCESS';
CREATE INDEX open_range_by_user ON processing_batch_status (user_id, start_id)
  WHERE status <> 'SUCCESS' AND kind = 'RANGE';
CREATE INDEX undelivered_by_batch ON undelivered_record (batch_id, record_id, state);
CREATE INDEX late_by_user ON undelivered_record (user_id)
  WHERE state = 'LATE' AND batch_id IS NULL;
CREATE INDEX command_to_do ON command (id) WHERE done_at IS NULL;
CREATE VIEW record_arrival AS
SELECT NULL AS id, NULL AS user_id WHERE 0;
CREATE VIEW record_departure AS
SELECT NULL AS id, NULL AS user_id WHERE 0;
CREATE VIEW delivery_summary AS
WITH
  finished AS (
    SELECT coalesce(sum(success_batches), 0) AS batches, coalesce(sum(delivered), 0) AS delivered
      FROM user_cursor),
  open_batch AS (
    SELECT count(CASE status WHEN 'PENDING' THEN 1 END) AS pending,
           count(CASE status WHEN 'RUNNING' THEN 1 END) AS running,
           count(CASE status WHEN 'FAILED' THEN 1 END) AS failed,
           count(CASE status WHEN 'DEAD' THEN 1 END) AS dead,
           coalesce(sum(delivered_count), 0) AS delivered,
           coalesce(sum(batch_size - delivered_count - deleted_count), 0) AS undelivered,
           min(CASE WHEN status IN ('PENDING', 'RUNNING') THEN created_at END) AS oldest
      FROM processing_batch_status WHERE status <> 'SUCCESS'),
  tried AS (
    SELECT count(CASE state WHEN 'RETRY' THEN 1 END) AS retrying,
           count(CASE state WHEN 'UNKNOWN' THEN 1 END) AS unknown,
           count(CASE state WHEN 'DEAD' THEN 1 END) AS dead,
           count(CASE WHEN state <> 'LATE' THEN batch_id END) AS in_batches
      FROM undelivered_record),
  unplanned AS (
    SELECT coalesce(sum(records), 0) AS records, min(since) AS oldest FROM backlog)
SELECT max(unplanned.records + open_batch.undelivered - tried.in_batches, 0) AS waiting,
       finished.delivered + open_batch.delivered AS delivered,
       tried.retrying AS retrying,
       tried.unknown AS unknown,
       tried.dead AS dead,
       open_batch.pending AS pending_batches,
       open_batch.running AS running_batches,
       finished.batches AS success_batches,
       open_batch.failed AS failed_batches,
       open_batch.dead AS dead_batches,
       CASE WHEN unplanned.records + open_batch.undelivered - tried.in_batches > 0
            THEN min(coalesce(unplanned.oldest, open_batch.oldest), coalesce(open_batch.oldest, unplanned.oldest))
       END AS oldest_waiting_at,
       gate.state AS gate,
       gate.reason AS gate_reason
  FROM finished, open_batch, tried, unplanned, gate;
CREATE VIEW user_progress AS
SELECT user_id,
       max(sum(waiting), 0) AS waiting,
       sum(delivered) AS delivered,
       sum(retrying) AS retrying,
       sum(unknown) AS unknown,
       sum(dead) AS dead,
       sum(success_batches) AS success_batches,
       sum(open_batches) AS open_batches,
       max(last_attempt_at) AS last_attempt_at
  FROM (
    SELECT user_id, records AS waiting, 0 AS delivered, 0 AS retrying, 0 AS unknown, 0 AS dead,
           0 AS success_batches, 0 AS open_batches, NULL AS last_attempt_at
      FROM backlog
    UNION ALL
    SELECT user_id, 0, delivered, 0, 0, 0, success_batches, 0, NULL
      FROM user_cursor
    UNION ALL
    SELECT user_id, batch_size - delivered_count - deleted_count, delivered_count, 0, 0, 0, 0, 1, last_attempt_at
      FROM processing_batch_status WHERE status <> 'SUCCESS'
    UNION ALL
    SELECT user_id, CASE WHEN state <> 'LATE' AND batch_id IS NOT NULL THEN -1 ELSE 0 END, 0,
           state = 'RETRY', state = 'UNKNOWN', state = 'DEAD', 0, 0, last_attempt_at
      FROM undelivered_record)
 GROUP BY user_id;
CREATE VIEW failed_batches AS
SELECT id, user_id, batch_offset, status, retry_count,
       batch_size, delivered_count, last_attempt_at, next_attempt_at, error_message
  FROM processing_batch_status
 WHERE status <> 'SUCCESS' AND status IN ('FAILED', 'DEAD')
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
CREATE TRIGGER batch_succeeds AFTER UPDATE OF status ON processing_batch_status
WHEN new.status = 'SUCCESS' AND old.status <> 'SUCCESS'
BEGIN
  UPDATE user_cursor
     SET success_batches = success_batches + 1,
         delivered = delivered + new.delivered_count,
         deleted = deleted + new.deleted_count
   WHERE user_id = new.user_id;
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
