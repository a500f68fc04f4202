-- Schema 3. In bulk mode a record remembers the request that it was part of, so that the same request can be made again.

ALTER TABLE undelivered_record
  ADD COLUMN chunk /* bulk: names the request that it was last part of, first:last ids; NULL: cut it anew */ TEXT;
