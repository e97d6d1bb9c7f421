-- '', pinned (by a person) or frozen (taken back by itself): who may move the service to another version.
ALTER TABLE service ADD COLUMN pin TEXT NOT NULL DEFAULT '';
ALTER TABLE service ADD COLUMN pin_reason TEXT NOT NULL DEFAULT '';
