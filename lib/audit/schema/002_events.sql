-- What happened last, for who follows it and was away. Ids ascend, with gaps.
CREATE TABLE event(
  id   INTEGER PRIMARY KEY,
  at   INTEGER NOT NULL,
  kind TEXT NOT NULL,
  data TEXT NOT NULL  -- JSON
) STRICT;
