-- Descriptors that services have parked (FDSTORE=1); the vault holds them by service and number.
CREATE TABLE parked_descriptor (
  service TEXT NOT NULL,
  number  INTEGER NOT NULL,
  name    TEXT NOT NULL,
  PRIMARY KEY (service, number)
) STRICT;
