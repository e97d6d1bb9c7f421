-- The task queue. Times are milliseconds since 1970-01-01T00:00Z; status is pending, running, completed or failed.
CREATE TABLE task(
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  cycle      INTEGER NOT NULL,
  title      TEXT NOT NULL,
  payload    TEXT NOT NULL,
  status     TEXT NOT NULL CHECK(status IN ('pending', 'running', 'completed', 'failed')),
  attempt    INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  result     TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX task_open ON task(status, id) WHERE status IN ('pending', 'running');
-- One task runs at a time: the database itself refuses a second.
CREATE UNIQUE INDEX task_running ON task(status) WHERE status = 'running';
