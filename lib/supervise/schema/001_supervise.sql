-- What runs under the conductor. An instance's row is written before its process is started (pid 0) and completed
-- after: a crash in between leaves a process that is found by its environment variable SELFBUILD_INSTANCE.
CREATE TABLE service (
  name      TEXT PRIMARY KEY,
  project   TEXT NOT NULL,
  version   INTEGER NOT NULL,
  directory TEXT NOT NULL,
  spec      TEXT NOT NULL,      -- ServiceSpec as JSON
  wanted    INTEGER NOT NULL    -- 1: is to run
) STRICT;

CREATE TABLE service_socket (
  service TEXT NOT NULL,
  name    TEXT NOT NULL,
  listen  TEXT NOT NULL,        -- as the manifest says
  address TEXT NOT NULL,        -- as bound
  PRIMARY KEY (service, name, listen)
) STRICT;

CREATE TABLE instance (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  service     TEXT NOT NULL,
  role        TEXT NOT NULL,    -- live, incoming, draining
  project     TEXT NOT NULL,
  version     INTEGER NOT NULL,
  directory   TEXT NOT NULL,
  spec        TEXT NOT NULL,
  pid         INTEGER NOT NULL,
  start_ticks INTEGER NOT NULL,
  ready       INTEGER NOT NULL,
  started_ms  INTEGER NOT NULL
) STRICT;
