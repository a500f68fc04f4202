-- Looking into ferryd's database with the sqlite3 shell: recipes to copy. None of them changes anything, and they work with the
-- daemon up or down, for members of the file's group too. Open the shell with `ferryd db`, or
--   sqlite3 -readonly -init sqliterc /var/lib/ferryd/ferryd.db
-- Times are UTC. Large files answer these at once, unless a recipe says otherwise.

-- How it stands, all in all
SELECT * FROM delivery_summary;

-- How long the oldest waiting record has waited, in minutes
SELECT round((julianday('now') - julianday(oldest_waiting_at)) * 1440, 1) AS minutes FROM delivery_summary;

-- Whether sending is held, since when, and why
SELECT state, since, reason, probe_at FROM gate;

-- What waits, by user: not yet cut into batches, and since when (the longest first)
SELECT user_id, records, since FROM backlog ORDER BY since LIMIT 20;

-- Open batches: who has which
SELECT id, user_id, batch_offset, status, batch_size, delivered_count, retry_count, next_attempt_at
  FROM processing_batch_status WHERE status <> 'SUCCESS' ORDER BY status, id LIMIT 50;

-- When retries are due, by minute
SELECT substr(next_attempt_at, 1, 16) AS minute, count(*) AS batches
  FROM processing_batch_status WHERE status <> 'SUCCESS' AND status = 'FAILED' GROUP BY minute ORDER BY minute LIMIT 20;

-- Why records failed: the reasons, the most frequent first (reads all of undelivered_record)
SELECT state, http_status, error, count(*) AS records, min(record_id) AS example
  FROM undelivered_record WHERE state <> 'LATE' GROUP BY state, http_status, error ORDER BY records DESC LIMIT 20;

-- The failed batches with the first line of their errors, newest first
SELECT id, user_id, status, retry_count, next_attempt_at,
       substr(error_message, 1, instr(error_message || char(10), char(10)) - 1) AS first_error
  FROM failed_batches LIMIT 20;

-- Dead records with their own columns
SELECT record_id, user_id, network_id, city, http_status, reason, last_attempt_at
  FROM undelivered WHERE state = 'DEAD' ORDER BY record_id LIMIT 50;

-- Records that may have been accepted already: sent, but no answer came
SELECT record_id, user_id, attempts, last_attempt_at, next_attempt_at, reason
  FROM undelivered WHERE state = 'UNKNOWN' ORDER BY record_id LIMIT 50;

-- Records that were tried most often
SELECT record_id, user_id, state, attempts, http_status, error
  FROM undelivered_record WHERE attempts > 1 ORDER BY attempts DESC, record_id LIMIT 20;

-- The slowest of the last 1000 batches, in records per second
SELECT id, user_id, batch_size, delivered_count, busy_ms / 1000.0 AS seconds,
       round(delivered_count * 1000.0 / busy_ms, 1) AS records_per_second
  FROM (SELECT * FROM processing_batch_status ORDER BY id DESC LIMIT 1000)
 WHERE status = 'SUCCESS' AND busy_ms > 0 ORDER BY records_per_second LIMIT 20;

-- Records delivered by hour, over the last day: those of the batches that were done in that hour
SELECT substr(last_attempt_at, 1, 13) || ':00' AS hour, count(*) AS batches, sum(delivered_count) AS records
  FROM processing_batch_status
 WHERE status = 'SUCCESS' AND last_attempt_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day')
 GROUP BY hour ORDER BY hour DESC;

-- How long records waited for their batch to be done, over the last day, in seconds
SELECT round(avg(waited), 1) AS mean, round(max(waited), 1) AS longest, count(*) AS batches
  FROM (SELECT (julianday(last_attempt_at) - julianday(created_at)) * 86400 AS waited
          FROM processing_batch_status
         WHERE status = 'SUCCESS' AND last_attempt_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day'));

-- One user (7)
SELECT * FROM user_progress WHERE user_id = 7;

-- The users with the most delivered (reads all users)
SELECT user_id, delivered, waiting, retrying, unknown, dead FROM user_progress ORDER BY delivered DESC LIMIT 20;

-- The users with trouble (reads all users)
SELECT user_id, retrying, unknown, dead, waiting FROM user_progress
 WHERE retrying + unknown + dead > 0 ORDER BY retrying + unknown + dead DESC LIMIT 20;

-- Which batch holds a record (5), and whether that is done
SELECT b.id, b.batch_offset, b.kind, b.status, b.last_attempt_at
  FROM user_record AS r
  JOIN processing_batch_status AS b ON b.user_id = r.user_id AND r.id BETWEEN b.start_id AND b.end_id
 WHERE r.id = 5 ORDER BY b.id;

-- The last commands, and what became of them
SELECT id, verb, target, created_at, done_at, result FROM command ORDER BY id DESC LIMIT 20;

-- What prune has taken away so far
SELECT (SELECT sum(pruned_batches) FROM user_cursor) AS batches, pruned_records AS records FROM delivery_total;

-- What prune would delete with --older-than 30d
SELECT count(*) AS batches, coalesce(sum(delivered_count), 0) AS records
  FROM processing_batch_status
 WHERE status = 'SUCCESS' AND last_attempt_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-30 days');

-- Whether this file was restored from a backup, and when
SELECT id, created_at, backup_at, restored_at FROM instance;

-- Size of the file in MB, and how much of it is free to be used again
SELECT round(page_count * page_size / 1e6, 1) AS megabytes, round(freelist_count * page_size / 1e6, 1) AS free
  FROM pragma_page_count, pragma_page_size, pragma_freelist_count;

-- Journal mode (wal: readers and the writer never wait for each other) and schema version
SELECT journal_mode, user_version FROM pragma_journal_mode, pragma_user_version;

-- Columns of user_record, yours too
SELECT name, type FROM pragma_table_info('user_record');

-- Steering and changing need a shell without -readonly. A running daemon answers a command in its row, within a second:
--   INSERT INTO command (verb, target) VALUES ('retry', 'batch:42');
--   INSERT INTO command (verb, target) VALUES ('retry', 'user:7');
--   INSERT INTO command (verb, target) VALUES ('retry', 'record:1005');
--   INSERT INTO command (verb, target) VALUES ('retry', 'dead');
--   INSERT INTO command (verb, target) VALUES ('retry', 'failed');
--   INSERT INTO command (verb) VALUES ('pause');
--   INSERT INTO command (verb) VALUES ('resume');
--   INSERT INTO command (verb) VALUES ('plan');
-- Rows and columns of user_record are yours; api.body can name your columns:
--   ALTER TABLE user_record ADD COLUMN visited_at TEXT;
--   INSERT INTO user_record (user_id, network_id, city, visited_at) VALUES (7, 'net-0012', 'Lisboa', '2026-11-26');
-- In all other tables change nothing.
