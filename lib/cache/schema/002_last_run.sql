-- What the newest run of an action saw, so that a miss can name the input that is another one now.
CREATE TABLE last_run(
  action BLOB NOT NULL,
  list INTEGER NOT NULL,        -- the inputs that its tool reported, in input_list; 0: it reports none
  ran_ms INTEGER NOT NULL,
  result BLOB NOT NULL,         -- the key of what it made: this row goes with that one
  output INTEGER NOT NULL,      -- the first one, in path
  parts BLOB NOT NULL,          -- of the action: 8 bytes each, little-endian
  inputs BLOB NOT NULL,         -- what was known before it ran: 4-byte path ids, little-endian
  sights BLOB NOT NULL,         -- of all inputs: 4 bytes of the content, 4 of the surroundings
  PRIMARY KEY(action, list));
CREATE INDEX last_run_by_output ON last_run(output, ran_ms);
CREATE INDEX last_run_by_result ON last_run(result);
