-- 1: drained together with the conductor, on purpose; its next start brings it up again, and a swap that was being
-- verified goes on.
ALTER TABLE service ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
