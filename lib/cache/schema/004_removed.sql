-- Another number whenever results were removed, which a build may remember from an earlier one.
CREATE TABLE removed(token INTEGER NOT NULL);
INSERT INTO removed VALUES(random());
CREATE TRIGGER result_is_removed AFTER DELETE ON result BEGIN UPDATE removed SET token=random(); END;
