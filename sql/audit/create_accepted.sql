-- What the journal says was accepted under the keys of this file. In a temporary file, so that memory stays small.
CREATE TEMP TABLE accepted (
  record INTEGER NOT NULL,
  batch  INTEGER NOT NULL,
  times  INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (record, batch)
) WITHOUT ROWID
