-- Which action a result is of: an input list is of use as long as there is one. NULL: it is not known.
ALTER TABLE result ADD COLUMN action BLOB;
UPDATE result SET action = (SELECT action FROM last_run WHERE last_run.result = result.key);
CREATE INDEX shown_by_list ON shown(list);

-- How often paths were removed: who remembers numbers of paths looks here before writing them.
CREATE TABLE swept(times INTEGER NOT NULL);
INSERT INTO swept(times) VALUES(0);
