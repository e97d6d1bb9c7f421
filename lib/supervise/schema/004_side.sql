-- Which of the two sockets on each address (steering.h): where a service's new connections go, and which one an
-- instance has.
ALTER TABLE service ADD COLUMN side TEXT NOT NULL DEFAULT 'a';
ALTER TABLE instance ADD COLUMN side TEXT NOT NULL DEFAULT 'a';
