-- Versions, cycles and the journal. Times are milliseconds since 1970-01-01T00:00Z.
-- The words in build_status, kind, state and step are those of history/types.h; the reading code checks them, so
-- that a later schema may add words without rebuilding a table.

-- One row per cycle: what was asked, what came of it.
CREATE TABLE build_history(
  id                  INTEGER PRIMARY KEY AUTOINCREMENT,
  project             TEXT NOT NULL,
  kind                TEXT NOT NULL,
  improvement_plan    TEXT NOT NULL,
  build_status        TEXT NOT NULL,
  version             INTEGER,
  from_version        INTEGER,
  commit_id           TEXT NOT NULL,
  started_at          INTEGER NOT NULL,
  completed_at        INTEGER,
  test_results        TEXT NOT NULL DEFAULT '',
  health_check_result TEXT NOT NULL DEFAULT '',
  failure             TEXT NOT NULL DEFAULT '',
  rollback_reason     TEXT NOT NULL DEFAULT '',
  triggered_by        TEXT NOT NULL,
  owner_fence         INTEGER NOT NULL DEFAULT 0  -- the newest number that take_over gave out
) STRICT;
CREATE INDEX build_history_commit ON build_history(project, commit_id);

CREATE TABLE journal(
  seq    INTEGER PRIMARY KEY AUTOINCREMENT,
  cycle  INTEGER NOT NULL REFERENCES build_history(id),
  step   TEXT NOT NULL,
  at     INTEGER NOT NULL,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX journal_cycle ON journal(cycle, seq);
CREATE INDEX journal_done ON journal(cycle) WHERE step = 'done';

CREATE TABLE version(
  project       TEXT NOT NULL,
  number        INTEGER NOT NULL,
  digest        TEXT NOT NULL,
  services_json TEXT NOT NULL,
  commit_id     TEXT NOT NULL,
  tree          TEXT NOT NULL,
  patch_sha256  TEXT NOT NULL,
  compiler      TEXT NOT NULL,
  options       TEXT NOT NULL,
  test_results  TEXT NOT NULL,
  requested_by  TEXT NOT NULL,
  cycle         INTEGER NOT NULL,  -- 0: made by no cycle
  created_at    INTEGER NOT NULL,
  state         TEXT NOT NULL,
  state_reason  TEXT NOT NULL,
  PRIMARY KEY(project, number)
) STRICT;
CREATE UNIQUE INDEX version_cycle ON version(project, cycle) WHERE cycle <> 0;
CREATE INDEX version_tree ON version(project, tree);

CREATE TABLE version_output(
  project TEXT NOT NULL,
  number  INTEGER NOT NULL,
  path    TEXT NOT NULL,
  xxh3    TEXT NOT NULL,
  size    INTEGER NOT NULL,
  sha256  TEXT NOT NULL,
  mode    INTEGER NOT NULL,
  PRIMARY KEY(project, number, path),
  FOREIGN KEY(project, number) REFERENCES version(project, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE nightly_backoff(
  project    TEXT PRIMARY KEY,
  failures   INTEGER NOT NULL,
  not_before INTEGER NOT NULL
) STRICT;
