-- Results that were found to be wrong: never used again, wherever they come from.
CREATE TABLE wrong(
  key BLOB NOT NULL,
  outputs BLOB NOT NULL,        -- digest of what the result says of its outputs
  PRIMARY KEY(key, outputs)) WITHOUT ROWID;
