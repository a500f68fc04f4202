-- Schema 3. In bulk mode a record remembers the request that it was part of, so that the same request can be made again.

ALTER TABLE undelivered_record
  ADD COLUMN chunk /* bulk: names the request that it was last part of, first:last ids; NULL: cut it anew */ TEXT;

CREATE TABLE begun (
  -- In bulk mode: the request that a batch's attempt began last for a stretch of ids that none had touched.
  batch_id INTEGER PRIMARY KEY, -- processing_batch_status.id
  chunk    TEXT NOT NULL        -- its first and its last id, first:last
);
