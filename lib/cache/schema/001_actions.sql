-- What was built, found again by what went into it. A cache: any row may be missing.

-- Every path that an input list names, as a run sees it.
CREATE TABLE path(
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE);

-- Lists of inputs that a tool reported: 4-byte path ids, little-endian, in the tool's order.
CREATE TABLE input_list(
  id INTEGER PRIMARY KEY,
  paths BLOB NOT NULL UNIQUE);

-- Which lists an action (its command, its tools, the names of its files) has shown so far.
CREATE TABLE shown(
  action BLOB NOT NULL,
  list INTEGER NOT NULL REFERENCES input_list(id),
  seen_ms INTEGER NOT NULL,
  PRIMARY KEY(action, list)) WITHOUT ROWID;

-- What an action made of certain contents of its inputs.
CREATE TABLE result(
  key BLOB NOT NULL,
  owner INTEGER NOT NULL,       -- 0: trusted; else the cycle that built it and alone may use it
  used_ms INTEGER NOT NULL,     -- Unix time, to the day's precision that pruning needs
  took_ms INTEGER NOT NULL,     -- how long the edge ran
  outputs BLOB NOT NULL,
  printed TEXT NOT NULL,        -- what the edge printed: warnings are shown again
  PRIMARY KEY(key, owner)) WITHOUT ROWID;
CREATE INDEX result_by_use ON result(used_ms);

-- Digests of files outside the pool, believed as long as stat(2) says the same.
CREATE TABLE inode(
  device INTEGER NOT NULL,
  inode INTEGER NOT NULL,
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  ctime_ns INTEGER NOT NULL,
  digest BLOB NOT NULL,
  traits TEXT NOT NULL,
  PRIMARY KEY(device, inode)) WITHOUT ROWID;

-- What a compiler driver consists of and searches, by the digest of its program.
CREATE TABLE tool(
  key BLOB PRIMARY KEY,
  description TEXT NOT NULL) WITHOUT ROWID;

-- The last builds: what they used, for statistics and so that pruning leaves it alone.
CREATE TABLE build(
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  owner INTEGER NOT NULL,
  edges INTEGER NOT NULL,
  hits INTEGER NOT NULL,
  results BLOB NOT NULL);       -- 16-byte keys, of hits and of what was kept
