-- What came with a message, in its order. The bytes are in blobs/, under their hash.
CREATE TABLE files (
  id         INTEGER PRIMARY KEY,
  message_id INTEGER NOT NULL REFERENCES messages (id),
  ordinal    INTEGER NOT NULL,
  name       TEXT NOT NULL,             -- as the agent sees it: safe as the name of a file, unique in its message
  type       TEXT NOT NULL,             -- by the first bytes, whatever the name says
  bytes      INTEGER NOT NULL,
  sha256     TEXT NOT NULL,
  UNIQUE (message_id, ordinal)
) STRICT;
