-- Who changed what. `hash` is the SHA-256 of the hash before it and of all other columns, so that a row cannot be
-- changed, taken out or put in without all that follow it. Times are milliseconds since 1970-01-01T00:00Z.
CREATE TABLE audit(
  seq     INTEGER PRIMARY KEY,  -- 1, 2, 3 … without a gap
  at      INTEGER NOT NULL,
  uid     INTEGER NOT NULL,     -- -1: not known
  pid     INTEGER NOT NULL,     -- 0: not known
  via     TEXT NOT NULL,
  act     TEXT NOT NULL,
  subject TEXT NOT NULL,
  outcome TEXT NOT NULL,
  hash    TEXT NOT NULL
) STRICT;

-- Where the chain begins (older rows were pruned) and where it ends, so that rows missing at an end are noticed.
CREATE TABLE audit_ends(
  id         INTEGER PRIMARY KEY CHECK(id = 1),
  first_seq  INTEGER NOT NULL,  -- of the oldest row that is kept
  before     TEXT NOT NULL,     -- the hash of the row before it
  last_seq   INTEGER NOT NULL,
  last_hash  TEXT NOT NULL
) STRICT;
INSERT INTO audit_ends(id, first_seq, before, last_seq, last_hash) VALUES(1, 1, '', 0, '');
